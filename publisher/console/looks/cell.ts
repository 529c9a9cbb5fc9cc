import type { InstanceRecord } from '../../../shared/report.ts';
import { type LastWrites, silentSince } from '../../fleet/forget.ts';
import { type Pause, type PauseFound, pauseOf } from '../../record/pauses.ts';
import type { ProcessIdentity } from '../../record/process-identity.ts';
import { isFinal } from '../../rollout/record-outcome.ts';
import type { Cell, PauseView, QueueEntryView } from '../api.ts';
import type { Facts } from './facts.ts';
import { underWayOf } from './under-way.ts';

/** What was read, as the pages get it. Pure. */

/** The last roll call of an environment. */
export interface LastRollCall {
  /** When it was asked, ms since the epoch by AWS's clock. */
  at: number;
  /** The instances that should have answered. */
  asked: ReadonlySet<string>;
  /** What each instance answered, by service. */
  answers: ReadonlyMap<string, readonly InstanceRecord[]>;
  answered: ReadonlySet<string>;
}

/** What is known of the environment, besides the service. */
export interface Around {
  env: string;
  here: ProcessIdentity;
  /** The document of the pause of the whole environment. */
  pause: PauseFound | undefined;
  /** The last heartbeat of each instance, ms since the epoch by S3's clock. */
  heartbeats: ReadonlyMap<string, number>;
  rollCall: LastRollCall | undefined;
  /** How long an instance must have written nothing to count as silent, ms. */
  silentAfterMs: number;
  now: number; // ms since the epoch
}

/** An instance as far as it is known: what it recorded or answered last. */
export interface SeenInstance {
  record: InstanceRecord;
  /** Whether it answered the last roll call that asked it; undefined when none has. */
  answered: boolean | undefined;
  silent: boolean;
  drift: boolean;
}

/** The instances of the service, sorted. What an instance answered counts until it records something newer. */
export function instancesOf(facts: Facts, around: Around): SeenInstance[] {
  const { rollCall, heartbeats } = around;
  const known = new Map(facts.instances.map((one) => [one.instance, one]));
  for (const answer of rollCall?.answers.get(facts.service) ?? []) {
    const record = known.get(answer.instance);
    if (record === undefined || Date.parse(record.at) <= Date.parse(answer.at))
      known.set(answer.instance, answer);
  }
  const wanted = facts.desired?.version;
  return [...known.values()]
    .map((record) => {
      const { instance } = record;
      const answered =
        rollCall?.answered.has(instance) || (rollCall?.asked.has(instance) ? false : undefined);
      const writes = { heartbeat: heartbeats.get(instance), record: facts.recordsAt.get(instance) };
      return {
        ...{ record, answered },
        silent: isSilent(writes, answered, around),
        drift: wanted !== undefined && record.version !== wanted,
      };
    })
    .sort((a, b) => (a.record.instance < b.record.instance ? -1 : 1));
}

/** Whether the instance wrote nothing for long, or did not answer the last roll call and wrote nothing since. */
function isSilent(
  writes: LastWrites,
  answered: boolean | undefined,
  { rollCall, silentAfterMs, now }: Pick<Around, 'rollCall' | 'silentAfterMs' | 'now'>,
): boolean {
  const asked = rollCall?.at ?? 0;
  if (answered === false) return Math.max(writes.heartbeat ?? 0, writes.record ?? 0) < asked;
  if (answered && now - asked < silentAfterMs) return false;
  return silentSince(writes, { now, afterMs: silentAfterMs }) !== undefined;
}

export function cellOf(facts: Facts, seen: readonly SeenInstance[], around: Around): Cell {
  const { desired, trouble, newest, queue, service } = facts;
  const { env, here } = around;
  const pause = pauseOf({ environment: around.pause, own: facts.pause, copy: desired?.pause });
  const count = (what: (one: SeenInstance) => boolean) => seen.filter(what).length;
  const underWay = underWayOf({ ...facts, instances: seen.map(({ record }) => record) }, here);
  return {
    ...{ env, service },
    ...(desired && { desired: desiredView(desired) }),
    ...(trouble && { trouble: trouble.message }),
    ...(pause && { pause: pauseView(pause) }),
    instances: seen.length,
    good: count(({ record }) => record.version === desired?.version),
    drift: count(({ drift }) => drift),
    broken: count(({ record }) => record.state === 'broken'),
    down: count(({ record }) => record.active === false && record.version !== null),
    silent: count(({ silent }) => silent),
    ...(underWay && { underWay }),
    queue: queue.map(queueEntryView),
    ...lastFailureOf(newest),
  };
}

function desiredView(desired: NonNullable<Facts['desired']>): NonNullable<Cell['desired']> {
  const { version, sequence, deployment, changedBy: by, changedAt, previous, action } = desired;
  const at = Date.parse(changedAt);
  return { version, sequence, deployment, by, at, ...(previous !== undefined && { previous }), action };
}

export function pauseView({ scope, by, since, reason, unverified }: Pause): PauseView {
  return { scope, by, since: Date.parse(since), reason, ...(unverified && { unverified }) };
}

function queueEntryView(entry: Facts['queue'][number]): QueueEntryView {
  const { who, command, version, since, jumped } = entry;
  return {
    ...{ who, command, since: Date.parse(since) },
    ...(version !== undefined && { version }),
    ...(jumped !== undefined && { jumped }),
  };
}

/** The newest deployment, if it has ended without success. */
function lastFailureOf(newest: Facts['newest']): Pick<Cell, 'lastFailure'> {
  if (newest === undefined || !isFinal(newest)) return {};
  const { deployment, version, status, outcome = status, settledAt, announcedAt } = newest;
  if (status === 'succeeded' || status === 'announced') return {};
  return { lastFailure: { deployment, version, status, outcome, at: Date.parse(settledAt ?? announcedAt) } };
}
