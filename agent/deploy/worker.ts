import type { Clock } from '../../shared/clock.ts';
import type { Desired } from '../../shared/desired.ts';
import { type ErrorCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { retry } from '../../shared/retry.ts';
import { beyondReach, isBeyondReach } from '../../shared/sequence.ts';
import type { Ending } from '../../shared/states.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
import { withLimits } from './bounded-ports.ts';
import { buildReport, notStartedReport, progressReport } from './build-report.ts';
import { type DesiredReader, orderFromDesired } from './converge.ts';
import { type Convergence, convergenceOf } from './converged.ts';
import { createRecordReader } from './instance-record.ts';
import { stateOnDisk } from './open-state.ts';
import { createOutbox } from './outbox.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { cancelled, createRunner, supersededBy } from './runner.ts';
import { createServiceEnd, type ServiceEnd } from './service-end.ts';
import { beforeSwitch, findOrder, hasEnded, type Order, type ServiceState } from './state.ts';
import { createStateStore } from './state-store.ts';
import {
  withEnding,
  withOrder,
  withOutgoing,
  withSequence,
  withTombstone,
  withWaiting,
} from './state-transitions.ts';

/**
 * The worker of one service. It has one active deployment at most, and one waiting order, which a newer order replaces.
 * When a method resolves, its effect is in the journal: the caller may then delete the message.
 */
export interface ServiceWorker {
  readonly service: ServiceConfig;
  state(): ServiceState;
  /**
   * Accepts the order as the next deployment. It supersedes a waiting order, and an active deployment before its
   * switch. An order of a known deployment has no effect. An announcement with an outdated sequence ends `superseded`.
   */
  accept(order: Order): Promise<void>;
  /** Continues a held deployment. Its later reports go to `replyTo`. */
  proceed(deployment: string, replyTo: string | undefined): Promise<void>;
  /** Before its switch, the deployment ends `cancelled`. If it has not arrived yet, it will never start here. */
  cancel(deployment: string): Promise<void>;
  /** Journals the ending of a deployment that never started here. */
  refuse(order: Order, ending: Ending, why: { code: ErrorCode; message: string }): Promise<void>;
  /** Answers a duplicate announcement with the ending or the current state. Later reports go to `replyTo`. */
  repeat(deployment: string, replyTo: string | undefined): Promise<void>;
  /** Records a sequence that was announced to other instances. */
  raise(sequence: number, deployment: string): Promise<void>;
  /** Whether `converge` would act on this desired state, by the state of this instance now. */
  isBehind(want: Desired): Promise<boolean>;
  /** Reads the desired state. If it requires a change, accepts an order for it or continues the held deployment. */
  converge(reader: DesiredReader, signal: AbortSignal): Promise<void>;
  /** Reads what this instance runs of the service now. */
  record(signal: AbortSignal): Promise<InstanceRecord>;
  /** Runs deployments and delivers reports until `stopping` aborts. */
  run(stopping: AbortSignal): Promise<void>;
  /** Whether the service has converged on its desired state, and is healthy. */
  convergence(reader: DesiredReader, signal: AbortSignal): Promise<Convergence>;
  /** What the end of the instance asks of this service. */
  readonly end: ServiceEnd;
  /** Until when a stop waits for the hook that runs, on the monotonic clock, ms; 0 without one. */
  busyUntil(): number;
}

const RETRY = { first: 1000, longest: 60_000 };
const FAILED = 'the deployment could not continue';
const OUT_OF_TRAFFIC = 'the instance could not be registered with its target groups';

export async function openWorker(context: {
  service: ServiceConfig;
  ports: Ports;
  identity: Identity;
  log: Log;
}): Promise<ServiceWorker> {
  const { service, identity } = context;
  const ports = withLimits(context.ports);
  const { clock, reporter, journal } = ports;
  const log = context.log.child({ service: service.name });
  const store = createStateStore(await stateOnDisk(context, log), journal);
  const outbox = createOutbox(store, ports, log);
  const onOutgoing = () => outbox.wake();
  const wakeUp = createWakeUp();
  const end = createServiceEnd({
    ...{ service, ports, identity, log, store, onStays: () => wakeUp.wake() },
    async giveUp(why) {
      await update((state) => withWaitingEnded(state, 'rejected', why));
      const { active } = store.read();
      if (active && beforeSwitch(active)) runner.cancelActive(why);
    },
  });
  const readRecord = createRecordReader({ ports, identity, log, store, notice: end.notice });
  const runner = createRunner({
    ...{ service, ports, identity, log, store, readRecord, onOutgoing, ending: end.guard },
  });

  async function update(change: (state: ServiceState) => ServiceState): Promise<ServiceState> {
    const state = await store.update(change);
    outbox.wake();
    wakeUp.wake();
    return state;
  }

  function withWaitingEnded(state: ServiceState, ending: Ending, why: TriggerDeployError): ServiceState {
    const { waiting } = state;
    if (!waiting) return state;
    const last = notStartedReport(identity, waiting, ending, why, clock.now());
    return withEnding({ ...state, waiting: null }, last, waiting.replyTo);
  }

  function withOutdatedEnding(state: ServiceState, order: Order, newest: number): ServiceState {
    const message = `sequence ${order.sequence} is lower than ${newest}, the highest seen here`;
    const why = new TriggerDeployError('SUPERSEDED', message);
    return withEnding(
      state,
      notStartedReport(identity, order, 'superseded', why, clock.now()),
      order.replyTo,
    );
  }

  /** The instance is about to end. The order was valid, so its sequence counts. */
  function withRefused(state: ServiceState, order: Order, why: TriggerDeployError): ServiceState {
    log.warn({ deployment: order.deployment, code: why.code }, `rejected: ${why.message}`);
    const last = notStartedReport(identity, order, 'rejected', why, clock.now());
    return withEnding(withSequence(state, order.sequence, order.deployment), last, order.replyTo);
  }

  /** `order` becomes the waiting order; the one that waited before ends `superseded`. */
  function withAccepted(state: ServiceState, order: Order): ServiceState {
    const next = withWaitingEnded(
      withSequence(state, order.sequence, order.deployment),
      'superseded',
      supersededBy(order),
    );
    if (order.quiet) return withWaiting(next, order);
    return withOutgoing(withWaiting(next, order), accepted(order), order.replyTo);
  }

  const accepted = (order: Order) =>
    buildReport(identity, order, { state: 'accepted', n: 0, at: clock.now(), timings: {} });

  /** Call this when `order` is the waiting order: it supersedes another active deployment before its switch. */
  function afterAccepted(order: Order): void {
    const { deployment, version, sequence, source } = order;
    log.info({ deployment, version, sequence, source }, 'accepted');
    const { active } = store.read();
    const isOther = active?.order.deployment !== deployment;
    if (active && isOther && beforeSwitch(active)) runner.cancelActive(supersededBy(order));
  }

  const worker: ServiceWorker = {
    service,
    state: store.read,

    async accept(order) {
      // Decide inside `update`, by the current state: convergence may just have accepted this order or a newer one.
      const { waiting } = await update((state) => {
        if (isKnownDeployment(state, order.deployment)) return state;
        const { seen } = state;
        const why = end.guard.why();
        if (why) return withRefused(state, order, why);
        return seen && order.source === 'announcement' && order.sequence < seen.sequence
          ? withOutdatedEnding(state, order, seen.sequence)
          : withAccepted(state, order);
      });
      if (waiting === order) afterAccepted(order);
    },

    async proceed(deployment, replyTo) {
      await update((state) =>
        withOrder(state, deployment, { hold: false, proceeds: true, ...(replyTo && { replyTo }) }),
      );
    },

    async cancel(deployment) {
      await update((state) => {
        const next = withTombstone(state, deployment);
        return next.waiting?.deployment === deployment
          ? withWaitingEnded(next, 'cancelled', cancelled())
          : next;
      });
      const { active } = store.read();
      if (active?.order.deployment === deployment && beforeSwitch(active)) runner.cancelActive(cancelled());
    },

    async refuse(order, ending, { code, message }) {
      const why = new TriggerDeployError(code, message);
      await update((state) => {
        // The announcement of a cancelled deployment is valid, so its sequence counts.
        const next = ending === 'cancelled' ? withSequence(state, order.sequence, order.deployment) : state;
        return withEnding(next, notStartedReport(identity, order, ending, why, clock.now()), order.replyTo);
      });
      log.warn({ deployment: order.deployment, code }, `${ending}: ${message}`);
    },

    async repeat(deployment, replyTo) {
      const { active, waiting, endings } = await update((state) =>
        replyTo ? withOrder(state, deployment, { replyTo }) : state,
      );
      const ending = endings.findLast((entry) => entry.report.deployment === deployment);
      if (ending) reporter.progress(ending.report, replyTo ?? ending.replyTo);
      else if (active?.order.deployment === deployment) {
        reporter.progress(progressReport(identity, active, clock.now()), active.order.replyTo);
      } else if (waiting?.deployment === deployment) {
        reporter.progress(accepted(waiting), waiting.replyTo);
      }
    },

    async raise(sequence, deployment) {
      await update((state) => withSequence(state, sequence, deployment));
    },

    async isBehind(want) {
      if (isBeyondReach(want.sequence, clock.now()) || end.guard.why()) return false;
      return typeof orderFromDesired(store.read(), want, await ports.package.current()) !== 'string';
    },

    async converge(reader, signal) {
      const want = await reader.read(service.name, signal);
      if (!want || end.guard.why()) return;
      const current = await ports.package.current();
      const desired = { desired: want.version, sequence: want.sequence };
      if (isBeyondReach(want.sequence, clock.now())) {
        return log.warn(desired, `no convergence: ${beyondReach(want.sequence)}`);
      }
      let order = 'not read' as Order | string;
      let isHere = false;
      // Decide inside `update`, by the current state: an announcement or another convergence may just have changed it.
      await update((state) => {
        order = orderFromDesired(state, want, current);
        if (typeof order === 'string') return state;
        isHere = findOrder(state, order.deployment) !== undefined;
        return isHere ? withOrder(state, order.deployment, { hold: false }) : withAccepted(state, order);
      });
      if (typeof order === 'string') return log.debug(desired, `no convergence needed: ${order}`);
      log.info(desired, `converging on the desired state${isHere ? ', which is already prepared here' : ''}`);
      if (!isHere) afterAccepted(order);
    },

    record: readRecord,

    convergence: (reader, signal) => convergenceOf({ service, ports, identity, store }, reader, signal),

    end,

    busyUntil: runner.busyUntil,

    async run(stopping) {
      const delivering = outbox.run(stopping);
      let hasResumed = false;
      const deployNext = async () => {
        wakeUp.clear();
        if (!hasResumed) await runner.resumeActive();
        hasResumed = true;
        const worked = await runner.next(stopping);
        outbox.wake();
        if (!worked) await wakeUp.wait(stopping);
      };
      // A change of the state, such as a new order, ends the pause.
      const sleep: Clock['sleep'] = (ms, signal) => wakeUp.wait(signal, { clock, ms });
      while (!stopping.aborted) {
        await retry(deployNext, {
          ...RETRY,
          clock: { monotonic: clock.monotonic, sleep },
          signal: stopping,
          // Retry every error (a full disk, an outage of AWS): the journal has the state, so nothing is lost.
          retryable: () => true,
          onRetry: (error, { failures, pauseMs }) => {
            const { active, waiting } = store.read();
            const why = { err: error, retryMs: pauseMs };
            if (active || waiting) log.error(why, `${FAILED}; retrying`);
            // After the ending only the registration with the target groups is left. One warning for each outage.
            else log[failures === 1 ? 'warn' : 'debug'](why, `${OUT_OF_TRAFFIC}; retrying`);
          },
        }).catch((error: unknown) => {
          if (error !== stopping.reason) log.error({ err: error }, FAILED);
        });
      }
      await delivering;
    },
  };
  return worker;
}

function isKnownDeployment(state: ServiceState, deployment: string): boolean {
  return hasEnded(state, deployment) || findOrder(state, deployment) !== undefined;
}
