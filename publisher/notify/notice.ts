import { z } from 'zod';
import { envName, instanceId, newUlid, serviceName, ulid, versionName } from '../../shared/names.ts';
import type { PublisherEvent } from '../events.ts';
import type { Session } from '../session.ts';

/**
 * What people, and whatever listens on the events topic, are told of a deployment: docs/EVENTS.md says it for those
 * who read it. Pure; made of the session's events, of which most are too small to be told.
 */

const base = {
  v: z.literal(1),
  /** Once per notice: whoever gets one twice knows it by this. */
  id: ulid,
  at: z.iso.datetime(),
  env: envName,
  /** Who did it, or whose program saw it. */
  by: z.string(),
  /** The address of the CI build, when there is one. */
  build: z.string().optional(),
};
const about = {
  ...base,
  deployment: ulid,
  service: serviceName,
  version: versionName,
  /** What the desired state said before; of a rollback, the version it leaves. */
  previous: versionName.nullable(),
  action: z.enum(['deploy', 'rollback', 'restart']),
  /** Who began the deployment. */
  issuedBy: z.string(),
  reason: z.string().optional(),
};
const beginning = { ...about, strategy: z.enum(['all', 'rolling']), expected: z.int().min(0) };
const ending = {
  ...about,
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(3)]),
  /** One line for a person: what was decided and why, and what the desired state is now. */
  text: z.string(),
  /** Instances by the state they ended or stand in. */
  counts: z.record(z.string(), z.int().min(0)),
  /** Those that never answered, the first 1,000. */
  silent: z.array(instanceId),
  tookMs: z.number().min(0),
};
const pausing = { ...base, service: serviceName.optional(), reason: z.string().optional() };

/** Unknown keys are allowed: older readers meet newer publishers. */
export const notice = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('started'), ...beginning }),
  z.looseObject({ type: z.literal('resumed'), ...beginning }),
  z.looseObject({
    type: z.literal('waiting'),
    ...about,
    /** How many waves have passed. */
    after: z.int().min(0),
    /** When it goes on by itself if nothing fails; without it only a person lets it go on. */
    until: z.iso.datetime().optional(),
    /** What a person types to let it go on. */
    command: z.string(),
  }),
  z.looseObject({ type: z.literal('succeeded'), ...ending }),
  z.looseObject({ type: z.literal('rolled-back'), ...ending }),
  z.looseObject({ type: z.literal('failed'), ...ending }),
  z.looseObject({ type: z.literal('timed-out'), ...ending }),
  z.looseObject({ type: z.literal('cancelled'), ...ending }),
  z.looseObject({
    type: z.literal('left'),
    ...about,
    text: z.string(),
    /** What a person types to follow it, or to go on with it. */
    command: z.string(),
  }),
  z.looseObject({ type: z.literal('paused'), ...pausing }),
  z.looseObject({ type: z.literal('unpaused'), ...pausing }),
]);
export type Notice = z.infer<typeof notice>;

export interface Notices {
  /** Undefined for an event that nobody needs to be told of. */
  of(event: PublisherEvent): Notice | undefined;
  /** What there is to say when the command ends: of a deployment that it began and does not know the end of. */
  atTheEnd(why: string | undefined): Notice | undefined;
}

const LONGEST_TEXT = 3000;
const MOST_NAMED = 1000;

type Started = Extract<PublisherEvent, { type: 'started' }>;
type Settled = Extract<PublisherEvent, { type: 'settled' }>;

export function openNotices(session: Pick<Session, 'env' | 'who' | 'origin' | 'clock'>): Notices {
  const { who, origin, clock } = session;
  const env = session.env.name;
  /** The deployment under way in this command; a rollback takes the place of what it undoes. */
  let current: Started | undefined;
  let open = false;

  const basics = (at: number) => ({
    ...{ v: 1 as const, id: newUlid(at), at: new Date(at).toISOString(), env, by: who },
    ...(origin.build && { build: origin.build }),
  });
  const aboutIt = (at: number, started: Started) => {
    const { deployment, service, version, previous, action, issuedBy, reason } = started;
    const what = { deployment, service, version, previous, action, issuedBy };
    return { ...basics(at), ...what, ...(reason && { reason: reason.slice(0, LONGEST_TEXT) }) };
  };

  function begun(started: Started): Notice | undefined {
    current = started;
    open = started.how !== 'watched';
    if (!open) return undefined;
    const { strategy = 'all', expected, at } = started;
    const type = started.how === 'resumed' ? 'resumed' : 'started';
    // A resumed one carries the time at which it was announced first.
    const when = type === 'resumed' ? clock.now() : at;
    return { type, ...aboutIt(when, started), strategy, expected: expected.length };
  }

  function ended(settled: Settled, started: Started): Notice | undefined {
    open = false;
    const { at, outcome, exitCode, text, counts, tookMs } = settled;
    if (settled.shown || exitCode === 2 || exitCode === 4) return undefined;
    const type = outcome === 'succeeded' && started.action === 'rollback' ? 'rolled-back' : outcome;
    const silent = settled.silent.slice(0, MOST_NAMED);
    const said = { exitCode, text: text.slice(0, LONGEST_TEXT), counts: { ...counts }, silent, tookMs };
    return { type, ...aboutIt(at, started), ...said };
  }

  return {
    of(event) {
      switch (event.type) {
        case 'started':
          return begun(event);
        case 'waiting': {
          // Its driver has told it.
          if (current === undefined || current.how === 'watched') return undefined;
          const { at, after, until, command } = event;
          const time = until === undefined ? {} : { until: new Date(until).toISOString() };
          return { type: 'waiting', ...aboutIt(at, current), after, command, ...time };
        }
        case 'settled':
          return current && ended(event, current);
        case 'pause': {
          const { at, paused, service, reason } = event;
          const what = { ...(service && { service }), ...(reason && { reason }) };
          return { type: paused ? 'paused' : 'unpaused', ...basics(at), ...what };
        }
        default:
          return undefined;
      }
    },
    atTheEnd(why) {
      if (!open || current === undefined) return undefined;
      open = false;
      const verb = current.strategy === 'rolling' ? 'resume' : 'watch';
      const text = why ?? 'its publisher does not follow it any more';
      const command = `trigger-deploy ${verb} ${current.deployment} --env ${env}`;
      return { type: 'left', ...aboutIt(clock.now(), current), text: text.slice(0, LONGEST_TEXT), command };
    },
  };
}
