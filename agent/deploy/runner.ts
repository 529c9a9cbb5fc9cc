import { TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { endingReport, reportErrorOf } from './build-report.ts';
import { type RunResult, runDeployment } from './deployment.ts';
import { createRun, type Run } from './deployment-run.ts';
import type { Look } from './instance-record.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { takenUpAgain } from './recover.ts';
import { beforeSwitch, begun, finished, moved, type Order, precious } from './state.ts';
import type { StateCell } from './state-store.ts';

/** Performs the deployments of one service, one at a time: begins what waits, ends what is over, tidies up. */
export interface Performer {
  /**
   * Takes the active deployment, or the waiting one, as far as it goes; false when there is nothing to do.
   * @throws when something could not be recorded; nothing is lost, and it may be called again.
   */
  next(stopping: AbortSignal): Promise<boolean>;
  /** After the agent or the machine went away in a deployment, before the first `next`. */
  takeUpAgain(): Promise<void>;
  /** Ends the active deployment with this reason, if nothing was switched yet. */
  giveUp(why: TriggerDeployError): void;
}

export function createPerformer(context: {
  service: ServiceConfig;
  ports: Ports;
  identity: Identity;
  log: Log;
  cell: StateCell;
  look: Look;
  /** An ending is in the outbox. */
  onEnding: () => void;
}): Performer {
  const { service, ports, identity, log, cell, look } = context;
  let givenUp = new AbortController();

  async function next(stopping: AbortSignal): Promise<boolean> {
    if (!cell.read().active) {
      if (!cell.read().waiting) return await backInTraffic(stopping);
      const bootId = await ports.host.bootId();
      await cell.update((state) => begun(state, { bootId, now: ports.clock.now() }));
    }
    givenUp = new AbortController();
    giveUpIfOutdated();
    const run = openRun(stopping);
    const result = await runDeployment(run);
    if ('interrupted' in result) return await halt(stopping);
    // Told to go on, or outdated, while it was coming to a halt?
    if ('held' in result) return cell.read().active?.order.hold === false || givenUp.signal.aborted;
    await end(run, result);
    return true;
  }

  /** What an ended deployment could not put back in: again and again, for it may be an outage of the cloud's. */
  async function backInTraffic(stopping: AbortSignal): Promise<false> {
    const { outOfTraffic } = cell.read();
    if (!outOfTraffic?.well || !ports.traffic) return false;
    await ports.traffic.join(outOfTraffic.groups, stopping);
    await cell.update((state) => ({ ...state, outOfTraffic: null }));
    log.info({ groups: outOfTraffic.groups }, 'back in traffic');
    return false;
  }

  /** No verdict: it is taken up again at the next start, or, where nothing stops, after a while. */
  async function halt(stopping: AbortSignal): Promise<true> {
    const goingDown = stopping.aborted || (await ports.host.stopping(stopping));
    if (goingDown) await cell.update((state) => moved(state, { checkpointed: true }));
    else await takeUpAgain();
    if (stopping.aborted) return true;
    throw new Error(goingDown ? 'the machine is going down' : 'what it comes to could not be recorded');
  }

  async function takeUpAgain(): Promise<void> {
    const bootId = await ports.host.bootId();
    const bootBefore = cell.read().active?.bootId;
    const { active } = await cell.update((state) => takenUpAgain(state, bootId));
    if (!active) return await sweep();
    const { order, state, direction, recoveries } = active;
    const stands = { deployment: order.deployment, state, direction, recoveries };
    const after = bootBefore === bootId ? '' : ' after a reboot';
    log.warn(stands, `taking up the deployment the journal holds${after}`);
  }

  /** Which releases may go is judged after a deployment, by what is known then: here they all stay. */
  async function sweep(): Promise<void> {
    try {
      const all = await ports.package.releases();
      await ports.package.prune(new Set(all.map(({ version }) => version)));
    } catch (error) {
      log.warn({ err: error }, 'what a killed agent may have left in the staging could not be removed');
    }
  }

  /** A cancel or a newer order may have been journalled while there was no run to abort. */
  function giveUpIfOutdated(): void {
    const { active, waiting, tombstones } = cell.read();
    if (!active || !beforeSwitch(active)) return;
    if (tombstones.includes(active.order.deployment)) givenUp.abort(cancelled());
    else if (waiting) givenUp.abort(supersededBy(waiting));
  }

  function openRun(stopping: AbortSignal): Run {
    const { active } = cell.read();
    if (!active) throw new Error('no deployment is active');
    const { deployment, version, sequence } = active.order;
    const runLog = log.child({ deployment, version, sequence });
    return createRun({ ports, service, identity, log: runLog, stopping, cancelled: givenUp.signal, cell });
  }

  async function end(
    run: Run,
    { ending, error, during }: Extract<RunResult, { ending: unknown }>,
  ): Promise<void> {
    const report = endingReport(identity, run.active(), {
      ending,
      during,
      error: error && reportErrorOf(error, service.reportLog ? error.detail : undefined),
      n: run.nextN(),
      at: ports.clock.now(),
      timings: run.timings(),
    });
    await cell.update((state) => finished(state, ending, report));
    context.onEnding();
    const ms = Object.values(run.timings()).reduce((sum, spent) => sum + spent, 0);
    const level = ending === 'succeeded' ? 'info' : ending === 'broken' ? 'fatal' : 'warn';
    const { previous, timings } = report;
    const { code, message } = report.error ?? {};
    run.log[level](
      {
        ...{ previous, ms: Math.round(ms), timings, code },
        ...(code && { reason: { code, message } }),
        ...(ending === 'broken' && {
          hint: 'it runs nothing that is known to be well: rollback or deploy by hand',
        }),
      },
      ending,
    );
    await tidy(run);
  }

  /** Room for the next release, and the record told what runs. Neither can fail a deployment that is over. */
  async function tidy(run: Run): Promise<void> {
    try {
      const removed = await ports.package.prune(precious(cell.read()));
      if (removed.length > 0) run.log.info({ removed }, 'old releases removed');
    } catch (error) {
      run.log.warn({ err: error }, 'old releases could not be removed');
    }
    try {
      await ports.reporter.putInstance(await look(run.stopping), run.stopping);
    } catch (error) {
      run.log.warn({ err: error }, 'the instance record could not be written: the next change or start does');
    }
  }

  return { next, takeUpAgain, giveUp: (why) => givenUp.abort(why) };
}

export function cancelled(): TriggerDeployError {
  return new TriggerDeployError('CANCELLED', 'cancelled before anything was switched');
}

export function supersededBy(order: Order): TriggerDeployError {
  return new TriggerDeployError('SUPERSEDED', `superseded by ${order.version} (sequence ${order.sequence})`);
}
