import type { Clock } from '../../../shared/clock.ts';
import { messageOf } from '../../../shared/errors.ts';
import { newUlid } from '../../../shared/names.ts';
import { createWakeUp } from '../../../shared/wake-up.ts';
import type { DeploymentRecord } from '../../record/deployment-schema.ts';
import type { LockView } from '../../record/lock.ts';
import type { Person } from '../../record/origin.ts';
import { isFinal, isRollBackDue } from '../../rollout/record-outcome.ts';
import type { Cell, ErrorView, LiveMessage } from '../api.ts';
import type { Answer } from '../http/answer.ts';
import type { Watches } from '../looks/watches.ts';
import type { CommandLine, Environments, Looks } from '../ports.ts';
import type { Runs } from './runs.ts';

/**
 * With `console.resume`, this console continues what a console drove that stopped. It looks at the overview as a page
 * does, so that it reads nothing of its own until something stands still. Of several consoles the lock lets one drive.
 */

/**
 * Whether nobody drives a deployment that a console drove last. `lock` was read before `record`. What a person continued
 * in a terminal and then left is left as they wanted it; and so is what timed out, which would only time out again. Pure.
 */
export function standsStill(record: DeploymentRecord, lock: LockView): boolean {
  const { from, resumedBy, resumedVia } = record;
  const via = resumedBy === undefined ? from.via : resumedVia;
  if (via === undefined || lock.state === 'held') return false;
  return record.status === 'announced' || isRollBackDue(record);
}

export interface SelfResumeOptions {
  environments: Environments;
  looks: Pick<Looks, 'overview'>;
  watches: Pick<Watches, 'join'>;
  runs: Pick<Runs, 'start'>;
  commands: Pick<CommandLine, 'parse'>;
  /** The machine of this console. */
  host: string;
  /** Hears what it continues, and what it could not continue. */
  log(entry: { env: string; deployment: string; resumed: boolean; text?: string }): void;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
}

/** The same key as that of the pages, so that the overview is read once. */
const OVERVIEW = 'overview';
/** After a try the next one comes after this time, twice as long after each further one, ms. */
const RETRY_MS = { first: 60_000, most: 60 * 60_000 };
/** How long what is driven after all is not looked at again, and how often it is looked for what is due, ms. */
const AGAIN_MS = 5000;

interface Candidate {
  env: string;
  service: string;
  deployment: string;
}

/** Goes on until `signal` aborts. */
export async function resumeByItself(options: SelfResumeOptions, signal: AbortSignal): Promise<void> {
  const { watches, looks, clock } = options;
  /** By environment and service. */
  const candidates = new Map<string, Candidate>();
  /** By deployment. */
  const tries = new Map<string, { after: number; wait: number }>();
  const news = createWakeUp();
  const see = (message: LiveMessage) => {
    for (const { env, service } of cellsIn(message)) candidates.delete(`${env} ${service}`);
    for (const one of candidatesIn(message)) candidates.set(`${one.env} ${one.service}`, one);
    news.wake();
  };
  const watch = await watches.join(OVERVIEW, looks.overview(), ({ message }) => see(message));
  try {
    see(watch.snapshot().message);
    while (!signal.aborted) {
      await news.wait(signal, { clock, ms: AGAIN_MS });
      const found = [...candidates.values()];
      for (const id of tries.keys()) if (!found.some(({ deployment }) => deployment === id)) tries.delete(id);
      for (const candidate of found) {
        const { after = 0, wait = RETRY_MS.first } = tries.get(candidate.deployment) ?? {};
        if (signal.aborted || after > clock.monotonic()) continue;
        const isTried = await resumeOne(options, candidate, signal);
        const next = isTried ? wait : AGAIN_MS;
        tries.set(candidate.deployment, {
          after: clock.monotonic() + next,
          wait: isTried ? Math.min(2 * wait, RETRY_MS.most) : wait,
        });
      }
    }
  } finally {
    watch.leave();
  }
}

/** Returns whether it stood still, or could not be read. */
async function resumeOne(
  { environments, runs, commands, host, log }: SelfResumeOptions,
  { env, service, deployment }: Candidate,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    if ((await environments.load(env)).signingKey === undefined) return true;
    const { record } = await environments.look(env);
    const lock = await record.locks.look(service);
    const { value } = await record.deployments.read(service, deployment);
    if (signal.aborted) return false;
    // A failure whose rollback has begun stays as it is.
    if (!standsStill(value, lock)) return isFinal(value) && !isRollBackDue(value);
    const argv = ['resume', deployment, `--env=${env}`];
    const command = { ...(await commands.parse(argv)), service };
    const id = `self-${newUlid(Date.now())}`;
    const answer = await runs.start({ id, argv, command, person: consoleAt(host), confirmsEmpty: false });
    const error = errorOf(answer);
    // Another console was faster.
    if (error !== undefined && QUIET.has(error.code)) return true;
    log({ env, deployment, resumed: error === undefined, ...(error && { text: error.message }) });
  } catch (error) {
    if (!signal.aborted) log({ env, deployment, resumed: false, text: messageOf(error) });
  }
  return true;
}

const QUIET = new Set(['LOCKED', 'NOT_UNDER_WAY', 'FENCED']);

/** The console itself: no person, so that nothing that it does confirms anything. */
const consoleAt = (host: string): Person => ({
  ...{ name: `console@${host}`, via: host, groups: [], isMachine: true },
});

const errorOf = ({ json }: Answer): ErrorView | undefined =>
  (json as { error?: ErrorView } | undefined)?.error;

const cellsIn = (message: LiveMessage): readonly Cell[] =>
  message.type === 'overview' ? message.view.cells : message.type === 'cells' ? message.cells : [];

/** The deployments that may stand still: nobody drives them, or their rollback may not have begun. Pure. */
export function candidatesIn(message: LiveMessage): Candidate[] {
  return cellsIn(message).flatMap(({ env, service, underWay, lastFailure }) => {
    const left = underWay?.driver.state === 'held' ? undefined : (underWay ?? lastFailure);
    return left === undefined ? [] : [{ env, service, deployment: left.deployment }];
  });
}
