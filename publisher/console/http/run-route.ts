import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Person } from '../../record/origin.ts';
import type { ErrorView, RunAnswer } from '../api.ts';
import { maySee } from '../people/visible.ts';
import { isGranted } from '../permissions.ts';
import type { Command } from '../ports.ts';
import type { Services } from '../services.ts';
import { type Answer, refused } from './answer.ts';
import { createRateLimit, MOST_CHANGES } from './limits.ts';
import { BODIES, check } from './query.ts';
import { failure, noEnvironment, noKey, type Route } from './route.ts';

/** To find the service of a deployment may take this long, ms. */
const FIND_MS = 20_000;

/**
 * POST /api/run: the command line of the terminal, for the person at the page. POST /api/leave: takes such a command out
 * of the line, where it waits. Both count as changes.
 */
export function runRoutes(services: Services): { run: Route; leave: Route } {
  const waitOf = createRateLimit(services.monotonic);
  return { run: runRoute(services, waitOf), leave: leaveRoute(services, waitOf) };
}

/** How many seconds the person has to wait until the next change. */
type RateLimit = ReturnType<typeof createRateLimit>;

function runRoute(services: Services, waitOf: RateLimit): Route {
  const { commands, people, runs, audit } = services;

  const refusalOf = async (person: Person, command: Command): Promise<Answer | undefined> => {
    const { env, effect, notOnPage } = command;
    if (notOnPage !== undefined) {
      return refused(400, 'USAGE', `the page cannot run this: ${notOnPage}`, { hint: 'use a terminal' });
    }
    if (env === undefined) return refused(400, 'USAGE', '--env is required');
    const refusal = people.mayRun(person, command);
    if (refusal !== undefined) return { status: refusal.status, json: { error: refusal.error } };
    const names = await services.environments.names();
    // A version comes from an environment of this console, too.
    const from = command.verb === 'promote' ? String(command.values.from) : env;
    const unknown = [env, from].find((one) => !names.includes(one));
    if (unknown !== undefined) return noEnvironment(unknown);
    if (effect === 'reads') return undefined;
    const canSign = !services.readOnly && (await services.environments.load(env)).signingKey !== undefined;
    return canSign ? undefined : noKey(env);
  };

  /**
   * A command that names only a deployment, with the service of that deployment: the person may be allowed that service
   * alone, and the others may not see the command. @throws DEPLOYMENT_NOT_FOUND.
   */
  const withService = async (person: Person, command: Command): Promise<Command> => {
    const { env, service, deployment } = command;
    if (people.mode === 'loopback' || service !== undefined || deployment === undefined) return command;
    if (env === undefined || !maySee(people.grantsOf(person), env)) return command;
    if (!(await services.environments.names()).includes(env)) return command;
    const patience = AbortSignal.timeout(FIND_MS);
    const finding = services.looks.find(deployment, patience, env);
    const found = await finding.catch((cause: unknown) => {
      if (!patience.aborted) throw cause;
      const text = `${env} does not say in ${FIND_MS / 1000} s where the deployment was`;
      throw new TriggerDeployError('AWS_UNREACHABLE', text, { cause, hint: 'try again' });
    });
    return found.env === env ? { ...command, service: found.service } : command;
  };

  const mayConfirm = (person: Person, { env, service }: Command): boolean =>
    env !== undefined && isGranted(people.grantsOf(person), 'confirm', env, service);

  const answerTo = async (person: Person, asked: typeof BODIES.run._output): Promise<Answer> => {
    const { argv, run: id, confirmsEmpty = false } = asked;
    try {
      const typed = await commands.parse(argv);
      const late = tooMany(waitOf, person, typed.effect);
      if (late !== undefined) return late;
      const command = await withService(person, typed);
      const refusal = await refusalOf(person, command);
      if (refusal !== undefined) return refusal;
      // It is a confirmation by a person: without the permission it counts as not given.
      const confirms = confirmsEmpty && mayConfirm(person, command);
      return await runs.start({ id, argv, command, person, confirmsEmpty: confirms });
    } catch (error) {
      return await failure(services, error);
    }
  };

  return {
    method: 'POST',
    needsPerson: true,
    async answer({ body, person }) {
      const asked = check(BODIES.run, body);
      if ('refusal' in asked || person === undefined) return 'refusal' in asked ? asked.refusal : noPerson();
      const answer = await answerTo(person, asked.value);
      const { error, run } = (answer.json ?? {}) as RunAnswer & { error?: ErrorView };
      const { argv, run: id } = asked.value;
      const { status } = answer;
      const { deployment, env } = run ?? {};
      audit({ person, path: '/api/run', argv, run: id, env, deployment, status, code: error?.code });
      return answer;
    },
  };
}

function leaveRoute({ people, runs, audit }: Services, waitOf: RateLimit): Route {
  const answerTo = async (person: Person, { run: id, by }: typeof BODIES.leave._output): Promise<Answer> => {
    const late = tooMany(waitOf, person, 'signs');
    if (late !== undefined) return late;
    const grants = people.grantsOf(person);
    const command = runs.waiting(by, id);
    const { env, service } = command ?? {};
    // Who may not look learns nothing of it.
    if (env === undefined || !maySee(grants, env, service)) {
      return refused(409, 'NOT_WAITING', 'no such command waits in the line here');
    }
    const isOwn = by === person.name && person.mayOnlyLook !== true;
    if (isOwn || isGranted(grants, 'cancel', env, service)) return await runs.leave(by, id, person);
    const text = `${person.name} may not cancel ${service ?? 'every service'} in ${env}`;
    return refused(403, 'NOT_ALLOWED', text, { hint: 'console.allow in trigger-deploy.yaml says who may' });
  };
  return {
    method: 'POST',
    needsPerson: true,
    async answer({ body, person }) {
      const asked = check(BODIES.leave, body);
      if ('refusal' in asked || person === undefined) return 'refusal' in asked ? asked.refusal : noPerson();
      const answer = await answerTo(person, asked.value);
      const { error, run } = (answer.json ?? {}) as RunAnswer & { error?: ErrorView };
      const { status } = answer;
      const of = { run: asked.value.run, argv: run?.argv, env: run?.env };
      audit({ person, path: '/api/leave', ...of, status, code: error?.code });
      return answer;
    },
  };
}

/** What asks the fleet is counted apart: it must not stand in the way of a pause. */
function tooMany(waitOf: RateLimit, { name }: Person, effect: Command['effect']): Answer | undefined {
  const seconds = effect === 'reads' ? 0 : waitOf(`${effect} ${name}`);
  if (seconds === 0) return undefined;
  const what = effect === 'asks' ? 'asked the fleet' : 'changed something';
  const text = `you have ${what} ${MOST_CHANGES} times in a minute`;
  const headers = { 'retry-after': String(seconds) };
  return refused(429, 'TOO_MANY', text, { hint: `try again in ${seconds} s`, headers });
}

const noPerson = () => refused(401, 'NO_SESSION', 'nobody is known');
