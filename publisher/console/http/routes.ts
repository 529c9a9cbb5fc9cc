import { orAborted } from '../../../shared/abort.ts';
import type { ErrorView } from '../api.ts';
import { configFor } from '../config-view.ts';
import { maySee } from '../people/visible.ts';
import type { Services } from '../services.ts';
import { type Answer, refused } from './answer.ts';
import { createQuestionLimit } from './limits.ts';
import { liveRoute } from './live-route.ts';
import { BODIES, check, checkQuery, QUESTIONS } from './query.ts';
import { failure, type Known, mayNotLook, nameOf, noEnvironment, noKey, type Route } from './route.ts';
import { runRoutes } from './run-route.ts';

/** The table of the API: an address, its method, who may ask, and the answer. */

/** A question may take this long, ms. */
const PATIENCE_MS = 30_000;

export function apiRoutes(services: Services): ReadonlyMap<string, Route> {
  const { sessions, looks } = services;
  const askingLimit = createQuestionLimit();
  const acting = runRoutes(services);

  /** A question to the record: bounded in number and time, its error as the page gets it. */
  const look = (answer: (known: Known, signal: AbortSignal) => Promise<object | Answer>): Route => ({
    method: 'GET',
    needsPerson: true,
    async answer(known) {
      const done = askingLimit(nameOf(known.person));
      if (done === undefined) return refused(429, 'TOO_MANY', 'too many questions at once');
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const signal = AbortSignal.any([known.signal, patience]);
      const work = answer(known, signal);
      // It is under way until it ends, also when nobody waits for it any more.
      work.then(done, done);
      try {
        const found = await orAborted(work, signal);
        return 'status' in found && 'json' in found ? (found as Answer) : { status: 200, json: found };
      } catch (error) {
        return patience.aborted ? tooSlow() : await failure(services, error);
      }
    },
  });

  const table: [path: string, route: Route][] = [
    [
      '/api/config',
      look(async ({ grants, person }) => {
        const view = await services.config();
        const of = {
          ...{ name: nameOf(person), isVerified: person?.verified !== undefined },
          ...(person?.isMachine && { isMachine: true as const }),
        };
        return configFor({ ...view, person: of }, grants);
      }),
    ],
    ['/api/live', liveRoute(services)],
    [
      '/api/history',
      look(async ({ query, grants }, signal) => {
        const asked = checkQuery(QUESTIONS.history, query);
        if ('refusal' in asked) return asked.refusal;
        const { since, ...question } = asked.value;
        const { env, service } = question;
        if (env !== undefined && !maySee(grants, env, service)) return mayNotLook();
        const found = await looks.history(
          { ...question, ...(since !== undefined && { since: services.now() - since }) },
          signal,
        );
        const see = (one: { env: string; service?: string }) => maySee(grants, one.env, one.service);
        return {
          ...found,
          deployments: found.deployments.filter(see),
          pauses: found.pauses.filter(see),
        };
      }),
    ],
    [
      '/api/standing',
      look(async ({ query, grants }, signal) => {
        const asked = checkQuery(QUESTIONS.standing, query);
        if ('refusal' in asked) return asked.refusal;
        const found = await looks.standing(asked.value, signal);
        return { ...found, places: found.places.filter(({ env, service }) => maySee(grants, env, service)) };
      }),
    ],
    [
      '/api/find',
      look(async ({ query, grants }, signal) => {
        const asked = checkQuery(QUESTIONS.find, query);
        if ('refusal' in asked) return asked.refusal;
        const found = await looks.find(asked.value.deployment, signal);
        return maySee(grants, found.env, found.service) ? found : mayNotLook();
      }),
    ],
    [
      '/api/report',
      look(async ({ query, grants }, signal) => {
        const asked = checkQuery(QUESTIONS.report, query);
        if ('refusal' in asked) return asked.refusal;
        const { env, service } = asked.value;
        return maySee(grants, env, service) ? await looks.report(asked.value, signal) : mayNotLook();
      }),
    ],
    ['/api/run', acting.run],
    ['/api/leave', acting.leave],
    ['/api/roll-call', rollCallRoute(services)],
  ];
  if (sessions !== undefined) {
    table.push(
      [
        '/api/session',
        {
          method: 'POST',
          needsPerson: false,
          async answer({ body }) {
            const asked = check(BODIES.session, body);
            if ('refusal' in asked) return asked.refusal;
            const given = sessions.exchange(asked.value.key);
            if (typeof given === 'object') return { status: 200, json: given };
            const text = given === 'used' ? 'this address was opened before' : 'this address has a wrong key';
            const hint = 'use the newest address that the console printed';
            return refused(403, given === 'used' ? 'KEY_USED' : 'KEY_WRONG', text, { hint });
          },
        },
      ],
      [
        '/api/end',
        {
          method: 'POST',
          needsPerson: true,
          async answer({ body, person }) {
            const asked = check(BODIES.nothing, body);
            if ('refusal' in asked) return asked.refusal;
            sessions.endAll();
            services.audit({ person, path: '/api/end', status: 200 });
            return { status: 200, json: {} };
          },
        },
      ],
    );
  }
  return new Map(table);
}

const tooSlow = () =>
  refused(503, 'TOO_SLOW', `there was no answer in ${PATIENCE_MS / 1000} s`, { hint: 'try again' });

function rollCallRoute(services: Services): Route {
  const { looks, readOnly, environments, audit } = services;
  const answerTo = async (env: string, { person, grants, signal }: Known): Promise<Answer> => {
    if (person === undefined || !maySee(grants, env)) return mayNotLook();
    const patience = AbortSignal.timeout(PATIENCE_MS);
    try {
      if (!(await environments.names()).includes(env)) return noEnvironment(env);
      if (readOnly || (await environments.load(env)).signingKey === undefined) return noKey(env);
      const ending = AbortSignal.any([signal, patience]);
      return { status: 200, json: await looks.rollCall(env, person, ending) };
    } catch (error) {
      return patience.aborted ? tooSlow() : await failure(services, error);
    }
  };
  return {
    method: 'POST',
    needsPerson: true,
    async answer(known) {
      const asked = check(BODIES.rollCall, known.body);
      if ('refusal' in asked) return asked.refusal;
      const { env } = asked.value;
      const answer = await answerTo(env, known);
      const { status } = answer;
      const code = (answer.json as { error?: ErrorView } | undefined)?.error?.code;
      audit({ person: known.person, path: '/api/roll-call', env, status, code });
      return answer;
    },
  };
}
