import * as z from 'zod';
import { envName, instanceId, newUlid, serviceName, ulid, versionName } from '../../shared/names.ts';
import type { PublisherEvent, Settled, Started } from '../events.ts';
import type { Session } from '../session.ts';

/**
 * The notices that go to the webhook and to the events topic. docs/EVENTS.md documents them. Most events of a session
 * make no notice. Pure.
 */

const base = {
  v: z.literal(1),
  /** Unique per notice; a notice that is delivered twice has the same id. */
  id: ulid,
  at: z.iso.datetime(),
  env: envName,
  /** Who ran the command that sent this notice. */
  by: z.string(),
  /** The host of the console where it was done. */
  via: z.string().optional(),
  /** The URL of the CI build, if any. */
  build: z.string().optional(),
};
const about = {
  ...base,
  deployment: ulid,
  service: serviceName,
  version: versionName,
  /** The version that the deployment replaces; null when there is none, or when its instances run different ones. */
  previous: versionName.nullable(),
  action: z.enum(['deploy', 'rollback', 'restart']),
  /** Who started the deployment. */
  issuedBy: z.string(),
  /** Its page on the console, in `waiting` with the dialog that confirms; only with `console.url`. */
  url: z.string().optional(),
  reason: z.string().optional(),
};
const beginning = {
  ...about,
  strategy: z.enum(['all', 'rolling']),
  expected: z.int().min(0),
  /** Its automatic checks. */
  checks: z.array(z.enum(['alarms', 'verify'])).optional(),
  /** `--skip-checks`: none of them is made. */
  skippedChecks: z.literal(true).optional(),
};
const ending = {
  ...about,
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(3)]),
  /** One line for a person: the decision, the reason, and the desired state now. */
  text: z.string(),
  /** How many instances are in each state. */
  counts: z.record(z.string(), z.int().min(0)),
  /** The instances without a report, the first 1,000. */
  silent: z.array(instanceId),
  /** What to do about the first failure. */
  hint: z.string().optional(),
  tookMs: z.number().min(0),
};
const pausing = { ...base, service: serviceName.optional(), reason: z.string().optional() };

/** Unknown keys are allowed: an older reader may get the notices of a newer publisher. */
export const notice = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('started'), ...beginning }),
  z.looseObject({ type: z.literal('resumed'), ...beginning }),
  z.looseObject({
    type: z.literal('waiting'),
    ...about,
    /** How many waves have passed; 0 when all instances are prepared and none has switched. */
    after: z.int().min(0),
    /** When the deployment continues by itself if nothing fails; without `until` only a confirmation continues it. */
    until: z.iso.datetime().optional(),
    /** Only another person may confirm, whom a console has verified. */
    confirm: z.literal('other').optional(),
    /** The command that confirms. */
    command: z.string(),
  }),
  z.looseObject({
    type: z.literal('check-failed'),
    ...about,
    check: z.enum(['alarms', 'verify']),
    /** When `verify` ran: after the canary, or after the last wave. */
    phase: z.enum(['canary', 'last']).optional(),
    /** Which alarm is in which state and why, or how the command ended. */
    text: z.string(),
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
    /** The command that follows or continues the deployment. */
    command: z.string(),
  }),
  z.looseObject({ type: z.literal('paused'), ...pausing }),
  z.looseObject({ type: z.literal('unpaused'), ...pausing }),
]);
export type Notice = z.infer<typeof notice>;

export interface Notices {
  /** The notice for an event; undefined for an event that makes no notice. */
  of(event: PublisherEvent): Notice | undefined;
  /** Called when the command ends: the notice `left`, if a deployment that it started or resumed is not settled. */
  atEnd(why: string | undefined): Notice | undefined;
}

const LONGEST_TEXT = 3000;
const MOST_NAMED = 1000;

export function openNotices(session: Pick<Session, 'env' | 'who' | 'origin' | 'clock'>): Notices {
  const { who, origin, clock } = session;
  const env = session.env.name;
  /** The deployment that this command drives or watches; a rollback replaces the deployment that it undoes. */
  let current: Started | undefined;
  let open = false;

  const baseOf = (at: number) => ({
    ...{ v: 1 as const, id: newUlid(at), at: new Date(at).toISOString(), env, by: who },
    ...(origin.via && { via: origin.via }),
    ...(origin.build && { build: origin.build }),
  });
  const aboutOf = (at: number, started: Started) => {
    const { deployment, service, version, previous, action, issuedBy, reason } = started;
    const what = { deployment, service, version, previous, action, issuedBy };
    const { url } = started;
    return {
      ...baseOf(at),
      ...what,
      ...(url !== undefined && { url }),
      ...(reason && { reason: reason.slice(0, LONGEST_TEXT) }),
    };
  };

  function onStarted(started: Started): Notice | undefined {
    current = started;
    open = started.how !== 'watched';
    if (!open) return undefined;
    const { strategy = 'all', expected, at, checks, skippedChecks } = started;
    const type = started.how === 'resumed' ? 'resumed' : 'started';
    // The event of a resumed deployment has the time of its first announcement.
    const when = type === 'resumed' ? clock.now() : at;
    const checked = { ...(checks && { checks: [...checks] }), ...(skippedChecks && { skippedChecks }) };
    return { type, ...aboutOf(when, started), strategy, expected: expected.length, ...checked };
  }

  function onSettled(settled: Settled, started: Started): Notice | undefined {
    open = false;
    const { at, outcome, exitCode, text, counts, tookMs } = settled;
    if (settled.shown || exitCode === 2 || exitCode === 4) return undefined;
    const type = outcome === 'succeeded' && started.action === 'rollback' ? 'rolled-back' : outcome;
    const silent = settled.silent.slice(0, MOST_NAMED);
    const said = {
      ...{ exitCode, text: text.slice(0, LONGEST_TEXT), counts: { ...counts }, silent, tookMs },
      ...(settled.hint !== undefined && { hint: settled.hint }),
    };
    return { type, ...aboutOf(at, started), ...said };
  }

  return {
    of(event) {
      switch (event.type) {
        case 'started':
          return onStarted(event);
        case 'waiting': {
          // The publisher that drives the deployment sends this notice.
          if (current === undefined || current.how === 'watched') return undefined;
          const { at, after, until, command, confirm, url } = event;
          const time = until === undefined ? {} : { until: new Date(until).toISOString() };
          return {
            type: 'waiting',
            ...aboutOf(at, current),
            ...(url !== undefined && { url }),
            after,
            command,
            ...time,
            ...(confirm && { confirm }),
          };
        }
        case 'check': {
          if (event.state !== 'failed' || current === undefined || current.how === 'watched')
            return undefined;
          const { at, check, phase, text } = event;
          const what = { check, ...(phase && { phase }), text: text.slice(0, LONGEST_TEXT) };
          return { type: 'check-failed', ...aboutOf(at, current), ...what };
        }
        case 'settled':
          return current && onSettled(event, current);
        case 'pause': {
          const { at, paused, service, reason } = event;
          const what = { ...(service && { service }), ...(reason && { reason }) };
          return { type: paused ? 'paused' : 'unpaused', ...baseOf(at), ...what };
        }
        default:
          return undefined;
      }
    },
    atEnd(why) {
      if (!open || current === undefined) return undefined;
      open = false;
      const verb = current.strategy === 'rolling' ? 'resume' : 'watch';
      const text = why ?? 'its publisher exited';
      const command = `trigger-deploy ${verb} ${current.deployment} --env ${env}`;
      return { type: 'left', ...aboutOf(clock.now(), current), text: text.slice(0, LONGEST_TEXT), command };
    },
  };
}
