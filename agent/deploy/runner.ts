import { TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { buildReportError, endingReport } from './build-report.ts';
import { type RunResult, runDeployment } from './deployment.ts';
import { createDeploymentRun, type DeploymentRun } from './deployment-run.ts';
import type { ReadRecord } from './instance-record.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { resumed } from './recover.ts';
import type { EndGuard } from './service-end.ts';
import { beforeSwitch, type Order, protectedVersions } from './state.ts';
import type { StateStore } from './state-store.ts';
import { started, withActive, withActiveEnded } from './state-transitions.ts';

/** Runs the deployments of one service, one at a time. */
export interface Runner {
  /**
   * Runs the active deployment, or else the waiting order, until it ends or is held. Returns whether there may be more
   * to do; false means to wait for the next change of the state.
   * @throws when it could not continue: the journal cannot be written, AWS is down, or the machine shuts down. The
   * journal has the state; call it again after a pause.
   */
  next(stopping: AbortSignal): Promise<boolean>;
  /** Prepares the state so that `next` resumes the deployment that was active. Call this before the first `next`. */
  resumeActive(): Promise<void>;
  /** Aborts the active deployment with this reason. It has no effect after the switch. */
  cancelActive(why: TriggerDeployError): void;
  /** Until when a stop waits for the hook that runs, on the monotonic clock, ms; 0 without one. */
  busyUntil(): number;
}

export function createRunner(context: {
  service: ServiceConfig;
  ports: Ports;
  identity: Identity;
  log: Log;
  store: StateStore;
  readRecord: ReadRecord;
  ending: EndGuard;
  /** Called after a report is journalled: the outbox has it. */
  onOutgoing: () => void;
}): Runner {
  const { service, ports, identity, log, store, readRecord, ending } = context;
  let cancellation = new AbortController();
  let current: DeploymentRun | undefined;

  async function next(stopping: AbortSignal): Promise<boolean> {
    if (!store.read().active) {
      // Nothing begins, and traffic does not return, while the instance is about to end.
      if (ending.why()) return false;
      if (!store.read().waiting) return await rejoinAfterOutage(stopping);
      const bootId = await ports.host.bootId();
      await store.update((state) => started(state, { bootId, now: ports.clock.now() }));
    }
    cancellation = new AbortController();
    cancelIfOutdated();
    const run = openRun(stopping);
    current = run;
    const result = await runDeployment(run);
    if ('interrupted' in result) return await halt(stopping, run);
    // True if an announcement continued, cancelled or superseded the deployment in the meantime.
    if ('held' in result) return store.read().active?.order.hold === false || cancellation.signal.aborted;
    await end(run, result);
    return true;
  }

  /** Registers the instance with the target groups that an ended deployment could not register it with. */
  async function rejoinAfterOutage(stopping: AbortSignal): Promise<false> {
    const { outOfTraffic } = store.read();
    if (!outOfTraffic?.well || !ports.traffic) return false;
    await ports.traffic.join(outOfTraffic.groups, stopping);
    await store.update((state) => ({ ...state, outOfTraffic: null }));
    log.info({ groups: outOfTraffic.groups }, 'registered with its target groups again');
    return false;
  }

  /**
   * Stops the run without an ending. The deployment is resumed at the next start of the agent or, if nothing is
   * stopping, after a pause. A step that did not end when the agent stops is counted as a death of the agent: otherwise
   * it would be resumed without end. @throws unless the agent is stopping: the caller then pauses and retries.
   */
  async function halt(stopping: AbortSignal, run: DeploymentRun): Promise<true> {
    const goingDown = stopping.aborted || (await ports.host.stopping(stopping));
    if (goingDown && run.hasLeft()) log.warn('stopped during a step that did not end');
    else if (goingDown) await store.update((state) => withActive(state, { checkpointed: true }));
    else await resumeActive();
    if (stopping.aborted) return true;
    throw new Error(goingDown ? 'the machine is shutting down' : 'the result could not be recorded');
  }

  async function resumeActive(): Promise<void> {
    const bootId = await ports.host.bootId();
    const bootBefore = store.read().active?.bootId;
    const { active } = await store.update((state) => resumed(state, bootId));
    if (!active) return await cleanStaging();
    const { order, state, direction, recoveries } = active;
    const details = { deployment: order.deployment, state, direction, recoveries };
    const after = bootBefore === bootId ? '' : ' after a reboot';
    log.warn(details, `resuming the deployment${after}`);
  }

  /** Empties the staging directory. Keeps every release: releases are removed only after a deployment. */
  async function cleanStaging(): Promise<void> {
    try {
      const all = await ports.package.releases();
      await ports.package.prune(new Set(all.map(({ version }) => version)));
    } catch (error) {
      log.warn({ err: error }, 'the staging directory could not be emptied');
    }
  }

  /** Aborts the next run if a cancel or a newer order was journalled while there was no run that it could abort. */
  function cancelIfOutdated(): void {
    const { active, waiting, tombstones } = store.read();
    if (!active || !beforeSwitch(active)) return;
    const why = ending.why();
    if (why) cancellation.abort(why);
    else if (tombstones.includes(active.order.deployment)) cancellation.abort(cancelled());
    else if (waiting) cancellation.abort(supersededBy(waiting));
  }

  function openRun(stopping: AbortSignal): DeploymentRun {
    const { active } = store.read();
    if (!active) throw new Error('no deployment is active');
    const { deployment, version, sequence } = active.order;
    const runLog = log.child({ deployment, version, sequence });
    return createDeploymentRun({
      ...{ ports, service, identity, store, ending },
      ...{ log: runLog, stopping, cancelled: cancellation.signal, onOutgoing: context.onOutgoing },
    });
  }

  async function end(
    run: DeploymentRun,
    { ending, error, during }: Extract<RunResult, { ending: unknown }>,
  ): Promise<void> {
    const report = endingReport(identity, run.active(), {
      ending,
      during,
      error: error && buildReportError(error, service.reportLog ? error.detail : undefined),
      n: run.nextN(),
      at: ports.clock.now(),
      timings: run.timings(),
      spans: run.spans(),
    });
    await store.update((state) => withActiveEnded(state, ending, report));
    context.onOutgoing();
    const ms = Object.values(run.timings()).reduce((sum, spent) => sum + spent, 0);
    const level = ending === 'succeeded' ? 'info' : ending === 'broken' ? 'fatal' : 'warn';
    const { previous, timings } = report;
    const { code, message } = report.error ?? {};
    run.log[level](
      {
        ...{ previous, ms: Math.round(ms), timings, code },
        ...(code && { reason: { code, message } }),
        ...(ending === 'broken' && {
          hint: 'no known-good version is running: roll back or deploy by hand',
        }),
      },
      ending,
    );
    await cleanUp(run);
  }

  /** Prunes releases and writes the instance record. Neither can fail a deployment that has ended. */
  async function cleanUp(run: DeploymentRun): Promise<void> {
    try {
      const removed = await ports.package.prune(protectedVersions(store.read()));
      if (removed.length > 0) run.log.info({ removed }, 'old releases removed');
    } catch (error) {
      run.log.warn({ err: error }, 'old releases could not be removed');
    }
    try {
      await ports.reporter.putInstance(await readRecord(run.stopping), run.stopping);
    } catch (error) {
      run.log.warn(
        { err: error },
        'the instance record could not be written; it is written again at the next change or start',
      );
    }
  }

  return {
    next,
    resumeActive,
    cancelActive: (why) => cancellation.abort(why),
    busyUntil: () => current?.busyUntil() ?? 0,
  };
}

export function cancelled(): TriggerDeployError {
  return new TriggerDeployError('CANCELLED', 'cancelled before the switch');
}

export function supersededBy(order: Order): TriggerDeployError {
  return new TriggerDeployError('SUPERSEDED', `superseded by ${order.version} (sequence ${order.sequence})`);
}
