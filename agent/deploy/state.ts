import * as z from 'zod';
import { artifact, artifacts } from '../../shared/manifest.ts';
import { serviceName, ulid, versionName } from '../../shared/names.ts';
import {
  type Ending,
  ORDER_OF_STATES,
  PROGRESS_STATES,
  type Report,
  report,
  reportError,
  STEPS,
} from '../../shared/report.ts';

/**
 * The state of one service on this instance, and what can be read from it. All of it is one document, appended to
 * the journal at each change: an ending and its report in the outbox are one write, so no crash separates them.
 * Pure. state-transitions.ts has the changes.
 */

/** What to deploy: the part of an announcement, desired state or local order that the agent acts on. */
export const order = z
  .looseObject({
    deployment: ulid,
    service: serviceName,
    sequence: z.int().min(0),
    version: versionName,
    action: z.enum(['deploy', 'rollback', 'restart']),
    /** Empty only for a local rollback to an adopted release. */
    artifacts: artifacts.or(z.array(artifact).max(0)),
    source: z.enum(['announcement', 'desired', 'local']),
    /** The user who gave a local order. */
    by: z.string().max(64).optional(),
    replyTo: z.string().optional(),
    /** Stop after `prepared` until the deployment's next announcement. */
    hold: z.boolean(),
    /** This deployment already ended here (`rejected: expired`, say): no second ending is reported. */
    quiet: z.boolean().optional(),
  })
  .refine(
    ({ artifacts, source, action }) => artifacts.length > 0 || (source === 'local' && action === 'rollback'),
    {
      error: 'no artifacts',
    },
  );
export type Order = z.infer<typeof order>;

const active = z.looseObject({
  order,
  /** Written before the work of that state begins. */
  state: z.enum(PROGRESS_STATES),
  /** `back` from the moment the agent decides to roll back. */
  direction: z.enum(['forward', 'back']),
  /** The version that ran before; null when none did, absent until it has been looked up. */
  previous: versionName.nullable().optional(),
  /** False when the version already runs: it is only checked. */
  changed: z.boolean(),
  /** Install again although the release is here: it failed on this instance before. */
  fresh: z.boolean(),
  /** Why it rolls back, or ends without having switched. */
  error: reportError.optional(),
  /** The step that failed. */
  during: z.enum(STEPS).optional(),
  /** How many hooks of each kind have finished, so that none runs again after a restart of the agent. */
  hooksDone: z.object({ beforeStop: z.int(), afterStart: z.int() }),
  /** Target groups that this deployment deregisters from: set before that, emptied once it has registered again. */
  left: z.array(z.string()).optional(),
  /** Traffic may have returned since the last drain: drain again before the service is stopped. */
  givenBack: z.boolean().optional(),
  /** The unit's invocation before the switch: a different one means that the unit was started since. */
  invocationBefore: z.string().nullable().optional(),
  n: z.int(),
  startedAt: z.number(), // ms since the epoch
  timings: z.partialRecord(z.enum(STEPS), z.number()),
  bootId: z.string(),
  /** How many times the agent has resumed it after dying in it. */
  recoveries: z.int(),
  /** The agent, or the machine, stopped in it cleanly: resuming it does not count as a recovery. */
  checkpointed: z.boolean().optional(),
});
export type Active = z.infer<typeof active>;

const ended = z.looseObject({ report, replyTo: z.string().optional() });

export const serviceState = z.looseObject({
  v: z.literal(1),
  instance: z.string(),
  service: serviceName,
  /** The highest valid sequence received, and its deployment. */
  seen: z.object({ sequence: z.int(), deployment: ulid }).nullable(),
  /** The last version that succeeded here; null before the first success and after `broken`. */
  running: z.object({ version: versionName, sequence: z.int(), deployment: ulid.optional() }).nullable(),
  /** The deployment that left no known-good version, until one succeeds; absent in the state of an older agent. */
  broken: z.object({ sequence: z.int(), deployment: ulid }).nullable().optional(),
  /** The release before the running one. */
  previousGood: versionName.nullable(),
  /** Deployments that failed here: the agent never converges on them, and a retry installs again. */
  failures: z.array(z.object({ sequence: z.int(), deployment: ulid, version: versionName })),
  /** Cancelled deployments, including any cancelled before they arrived. */
  tombstones: z.array(ulid),
  pinned: z.object({ since: z.string(), version: versionName }).nullable(),
  active: active.nullable(),
  waiting: order.nullable(),
  /**
   * Target groups that an ended deployment deregistered the instance from and could not register it with again. While
   * `well` is false, no version here is healthy, and the instance stays deregistered.
   */
  outOfTraffic: z
    .object({ groups: z.array(z.string()), well: z.boolean() })
    .nullable()
    .default(null),
  /** The last endings, newest last: a duplicate announcement gets the same answer again. */
  endings: z.array(ended),
  /** Ids of deployments that ended here, kept for longer than their endings. */
  over: z.array(ulid).default([]),
  /** Reports not yet written to the record. */
  outbox: z.array(ended),
});
export type ServiceState = z.infer<typeof serviceState>;

/** Endings that change which version runs, or whether one does. */
const CHANGING: ReadonlySet<string> = new Set<Ending>(['succeeded', 'rolled-back', 'broken']);

export function initialState(instance: string, service: string): ServiceState {
  return {
    v: 1,
    instance,
    service,
    seen: null,
    running: null,
    previousGood: null,
    failures: [],
    tombstones: [],
    pinned: null,
    active: null,
    waiting: null,
    outOfTraffic: null,
    endings: [],
    over: [],
    outbox: [],
  };
}

/** The order of this deployment, if it is active or waiting. */
export function findOrder({ active, waiting }: ServiceState, deployment: string): Order | undefined {
  return [active?.order, waiting].find((order) => order?.deployment === deployment) ?? undefined;
}

export function endingOf(
  state: ServiceState,
  deployment: string,
): { report: Report; replyTo?: string | undefined } | undefined {
  return state.endings.findLast((entry) => entry.report.deployment === deployment);
}

/** Whether the deployment ended here: it never gets a second ending. */
export function hasEnded(state: ServiceState, deployment: string): boolean {
  return state.over.includes(deployment) || endingOf(state, deployment) !== undefined;
}

/** The deployment that broke the service, null unless it is broken. A deployment that changed nothing does not repair it. */
export function brokenBy({
  running,
  broken,
  endings,
}: ServiceState): NonNullable<ServiceState['broken']> | null {
  if (running) return null;
  if (broken !== undefined) return broken;
  const last = endings.findLast(({ report }) => CHANGING.has(report.state))?.report;
  return last?.state === 'broken' ? { sequence: last.sequence, deployment: last.deployment } : null;
}

/** Versions whose releases must not be pruned. */
export function protectedVersions(state: ServiceState): Set<string> {
  const keep = [
    state.running?.version,
    state.previousGood,
    state.active?.previous,
    state.active?.order.version,
    state.waiting?.version,
  ];
  return new Set(keep.filter((version) => version !== null && version !== undefined));
}

/** Whether a newer order or a cancel can still end the deployment with nothing changed on the instance. */
export function beforeSwitch(running: Active): boolean {
  return running.direction === 'forward' && ORDER_OF_STATES[running.state] < ORDER_OF_STATES.switching;
}
