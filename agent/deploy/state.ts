import * as z from 'zod';
import { artifact, artifacts } from '../../shared/manifest.ts';
import { serviceName, ulid, versionName } from '../../shared/names.ts';
import { type Report, report, reportError } from '../../shared/report.ts';
import { knownSpans } from '../../shared/spans.ts';
import { type Ending, ORDER_OF_STATES, PROGRESS_STATES, STEPS } from '../../shared/states.ts';

/**
 * The state of one service on this instance, and functions that read it. Pure. The state is one document, which is
 * appended to the journal at each change. So an ending and its report in the outbox are one write, and no crash
 * separates them. state-transitions.ts has the changes.
 */

/** A later agent, which was rolled back, may have written others. */
const spans = z.record(z.string(), z.number()).transform(knownSpans);

/** What to deploy: the part of an announcement, desired state or local order that the agent acts on. */
export const order = z
  .looseObject({
    deployment: ulid,
    service: serviceName,
    sequence: z.int().min(0),
    version: versionName,
    action: z.enum(['deploy', 'rollback', 'restart']),
    /** Empty only for a local rollback to a release that was not announced. */
    artifacts: artifacts.or(z.array(artifact).max(0)),
    source: z.enum(['announcement', 'desired', 'local']),
    /** The user who gave a local order. */
    by: z.string().max(64).optional(),
    replyTo: z.string().optional(),
    /** Stop after `prepared`, until an announcement or the desired state continues the deployment. */
    hold: z.boolean(),
    /** An announcement has ended the hold: its publisher waits until the instance goes on. */
    proceeds: z.boolean().optional(),
    /** Spans before the deployment starts here, ms; and when the agent received the announcement, ms since the epoch. */
    spans: spans.optional(),
    receivedAt: z.number().optional(),
    /** The deployment has already ended here (for example, its announcement expired): no second ending is reported. */
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
  /** The version that was current before the deployment; null if there was none; absent until it is known. */
  previous: versionName.nullable().optional(),
  /** False if the version already runs and is healthy: it is only checked. */
  changed: z.boolean(),
  /** Prepare the release again although it is on this instance: a deployment of this version failed here before. */
  fresh: z.boolean(),
  /** Why the deployment rolls back, or ends although it has switched nothing. */
  error: reportError.optional(),
  /** The step that failed. */
  during: z.enum(STEPS).optional(),
  /** How many hooks of each kind have finished, so that none runs again after a restart of the agent. */
  hooksDone: z.object({ beforeStop: z.int(), afterStart: z.int() }),
  /**
   * The target groups in which the instance has to be registered again. Set before the instance is deregistered,
   * emptied after it is registered again.
   */
  left: z.array(z.string()).optional(),
  /** True if traffic may have returned after the drain: a rollback then drains again before it stops the service. */
  givenBack: z.boolean().optional(),
  /** The invocation of the unit before the switch. If it is another one later, the unit was started in between. */
  invocationBefore: z.string().nullable().optional(),
  /** The triggers that were up before the deployment stopped them with the service. Journalled before the stop. */
  triggers: z.array(z.string()).optional(),
  /** The ids of the service's processes before the switch, and when the rollback was decided. */
  processesBefore: z.array(z.string()).optional(),
  processesBeforeRollback: z.array(z.string()).optional(),
  /** What a person should know although the deployment did not fail because of it. */
  warning: z.string().optional(),
  n: z.int(),
  startedAt: z.number(), // ms since the epoch
  timings: z.partialRecord(z.enum(STEPS), z.number()),
  /** Absent in the state of an older agent. */
  spans: spans.optional(),
  bootId: z.string(),
  /** How often the agent died during this deployment and resumed it. A rollback counts from 0 again. */
  recoveries: z.int(),
  /** True if the agent or the machine stopped cleanly during the deployment: the next resume is not a recovery. */
  checkpointed: z.boolean().optional(),
  /** How often the agent was stopped cleanly during this deployment and resumed it. A rollback counts from 0 again. */
  restarts: z.int().optional(),
});
export type Active = z.infer<typeof active>;

const ended = z.looseObject({ report, replyTo: z.string().optional() });

export const serviceState = z.looseObject({
  v: z.literal(1),
  instance: z.string(),
  service: serviceName,
  /** The highest sequence of all valid orders received, and its deployment. */
  seen: z.object({ sequence: z.int(), deployment: ulid }).nullable(),
  /** The last version that succeeded here; null before the first success and after `broken`. */
  running: z.object({ version: versionName, sequence: z.int(), deployment: ulid.optional() }).nullable(),
  /**
   * The deployment after which no known-good version runs. Null again after one that succeeded or rolled back. Absent
   * in a new state, and in that of an older agent: `brokenBy` then reads the endings.
   */
  broken: z.object({ sequence: z.int(), deployment: ulid }).nullable().optional(),
  /** The version that ran before `running`; after `broken`, the last version that ran. */
  previousGood: versionName.nullable(),
  /** Deployments that failed here. The agent does not converge on them. A retry of their version prepares it again. */
  failures: z.array(z.object({ sequence: z.int(), deployment: ulid, version: versionName })),
  /** Cancelled deployments. The cancel may have arrived before the deployment. */
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
  /** Since the end of the instance was announced: what was done for it here. Null, or absent, while it stays. */
  ending: z
    .looseObject({
      /** Whether traffic may have been stopped, so that it has to be restored if the instance stays. */
      drained: z.boolean(),
      /** How many hooks of each kind have finished, so that none runs again after a restart of the agent. */
      hooksDone: z.object({ beforeStop: z.int(), onTerminate: z.int() }),
      shipped: z.boolean(),
    })
    .nullable()
    .optional(),
  /** The last endings, newest last: a duplicate announcement gets the same answer again. */
  endings: z.array(ended),
  /** The ids of deployments that ended here. They are kept longer than `endings`. */
  over: z.array(ulid).default([]),
  /** Reports not yet written to the record. */
  outbox: z.array(ended),
});
export type ServiceState = z.infer<typeof serviceState>;

/** The endings of deployments that changed something: the last of them tells whether the service is broken. */
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

/**
 * The deployment that broke the service; null if the service is not broken. A later deployment that changed nothing
 * does not repair it.
 */
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

/** Whether the deployment has not begun to switch. Until then, a newer order or a cancel can end it. */
export function beforeSwitch(running: Active): boolean {
  return running.direction === 'forward' && ORDER_OF_STATES[running.state] < ORDER_OF_STATES.switching;
}
