import { type ErrorCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Ending, InstanceRecord } from '../../shared/report.ts';
import { backoffMs } from '../../shared/retry.ts';
import type { DesiredReader } from './converge.ts';
import { orderFromDesired } from './converge.ts';
import { endingReport, type RunResult, runDeployment } from './deployment.ts';
import { createOutbox } from './outbox.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { stateAtStart, takenUpAgain } from './recover.ts';
import { contextOf, createRun, type Run, reportErrorOf, reportOf } from './run.ts';
import {
  beforeSwitch,
  begun,
  endingOf,
  finished,
  moved,
  type Order,
  precious,
  queued,
  raised,
  type ServiceState,
  tombstoned,
  withEnding,
  withOutgoing,
} from './state.ts';
import { createStateCell, type StateCell } from './state-cell.ts';

/**
 * One service on this instance: one deployment at a time, and one place to wait, which the newest order
 * takes. What a method promises is in the journal by the time it resolves, so the caller may forget the message.
 */
export interface ServiceWorker {
  readonly service: ServiceConfig;
  state(): ServiceState;
  /** Takes the order as the next deployment; whatever waited, or has not switched yet, gives way. */
  accept(order: Order): Promise<void>;
  /** A prepared deployment was told to go on. */
  proceed(deployment: string, replyTo: string | undefined): Promise<void>;
  /** Up to the switch it ends `cancelled`; in any case it never begins again. */
  cancel(deployment: string): Promise<void>;
  /** Ends a deployment that never began here. */
  refuse(order: Order, ending: Ending, why: { code: ErrorCode; message: string }): Promise<void>;
  /** The same answer again, for an announcement that came twice. */
  repeat(deployment: string, replyTo: string | undefined): void;
  raise(sequence: number, deployment: string): Promise<void>;
  /** Acts on the desired state, if it asks for anything. */
  converge(reader: DesiredReader, signal: AbortSignal): Promise<void>;
  record(signal: AbortSignal): Promise<InstanceRecord>;
  /** Deploys what comes, and delivers what must be reported, until `stopping` aborts. */
  run(stopping: AbortSignal): Promise<void>;
}

const RETRY = { first: 1000, longest: 60_000 };

export async function openWorker(context: {
  service: ServiceConfig;
  ports: Ports;
  identity: Identity;
  log: Log;
}): Promise<ServiceWorker> {
  const { service, ports, identity } = context;
  const log = context.log.child({ service: service.name });
  const loaded = await ports.journal.load();
  if (loaded.quarantined !== undefined) {
    log.error(
      { quarantined: loaded.quarantined },
      'a part of the journal could not be read and was set aside',
    );
  }
  const { state, cloned } = stateAtStart(loaded.state, {
    instance: identity.instance,
    service: service.name,
  });
  if (cloned)
    log.warn(
      { from: loaded.state?.instance },
      'the state came from another instance: releases kept, the rest reset',
    );
  const cell = createStateCell(state, ports.journal);
  if (cloned) await ports.journal.append(state);
  return new Worker(service, ports, identity, log, cell);
}

class Worker implements ServiceWorker {
  readonly service: ServiceConfig;
  readonly #ports: Ports;
  readonly #identity: Identity;
  readonly #log: Log;
  readonly #cell: StateCell;
  readonly #outbox;
  #wake = Promise.withResolvers<void>();
  /** Aborts the active deployment while it may still be given up. */
  #giveUp = new AbortController();

  constructor(service: ServiceConfig, ports: Ports, identity: Identity, log: Log, cell: StateCell) {
    this.service = service;
    this.#ports = ports;
    this.#identity = identity;
    this.#log = log;
    this.#cell = cell;
    this.#outbox = createOutbox(cell, ports, log);
  }

  state() {
    return this.#cell.read();
  }

  async accept(order: Order) {
    await this.#update((state) => {
      let next = raised(state, order.sequence, order.deployment);
      if (next.waiting) next = this.#endWaiting(next, 'superseded', supersededBy(order));
      next = queued(next, order);
      const accepted = reportOf(this.#identity, order, {
        state: 'accepted',
        n: 0,
        at: this.#ports.clock.now(),
        timings: {},
      });
      return withOutgoing(next, accepted, order.replyTo);
    });
    this.#log.info(
      {
        deployment: order.deployment,
        version: order.version,
        sequence: order.sequence,
        source: order.source,
      },
      'accepted',
    );
    const active = this.state().active;
    if (active && (active.order.hold || beforeSwitch(active))) this.#giveUp.abort(supersededBy(order));
    this.#wake.resolve();
  }

  async proceed(deployment: string, replyTo: string | undefined) {
    await this.#update((state) => {
      const release = (order: Order): Order => ({
        ...order,
        hold: false,
        ...(replyTo === undefined ? {} : { replyTo }),
      });
      if (state.active?.order.deployment === deployment)
        return moved(state, { order: release(state.active.order) });
      if (state.waiting?.deployment === deployment) return queued(state, release(state.waiting));
      return state;
    });
    this.#wake.resolve();
  }

  async cancel(deployment: string) {
    const why = new TriggerDeployError('CANCELLED', 'cancelled before anything was switched');
    await this.#update((state) => {
      const next = tombstoned(state, deployment);
      return next.waiting?.deployment === deployment ? this.#endWaiting(next, 'cancelled', why) : next;
    });
    const active = this.state().active;
    if (active?.order.deployment === deployment && beforeSwitch(active)) this.#giveUp.abort(why);
    this.#wake.resolve();
  }

  async refuse(order: Order, ending: Ending, why: { code: ErrorCode; message: string }) {
    const error = new TriggerDeployError(why.code, why.message);
    await this.#update((state) => withEnding(state, this.#neverBegan(order, ending, error), order.replyTo));
    this.#log.warn({ deployment: order.deployment, code: why.code }, `${ending}: ${why.message}`);
  }

  repeat(deployment: string, replyTo: string | undefined) {
    const state = this.state();
    const ending = endingOf(state, deployment);
    if (ending) return this.#ports.reporter.progress(ending.report, replyTo ?? ending.replyTo);
    const { active } = state;
    if (active?.order.deployment !== deployment) return;
    const again = reportOf(this.#identity, active.order, {
      ...contextOf(active),
      timings: active.timings,
      state: active.state,
      n: active.n,
      at: this.#ports.clock.now(),
    });
    this.#ports.reporter.progress(again, replyTo ?? active.order.replyTo);
  }

  async raise(sequence: number, deployment: string) {
    await this.#update((state) => raised(state, sequence, deployment));
  }

  async converge(reader: DesiredReader, signal: AbortSignal) {
    const want = await reader.read(this.service.name, signal);
    if (!want) return;
    const order = orderFromDesired(this.state(), want, await this.#ports.package.current());
    if (typeof order === 'string') {
      this.#log.debug({ desired: want.version, sequence: want.sequence }, `nothing to converge: ${order}`);
      return;
    }
    this.#log.info({ desired: want.version, sequence: want.sequence }, 'converging on the desired state');
    await this.accept(order);
  }

  async record(signal: AbortSignal): Promise<InstanceRecord> {
    const state = this.state();
    const version = await this.#ports.package.current();
    const active = await this.#ports.manager.status(signal).then(
      (status) => status.active,
      () => undefined,
    );
    const last = state.active?.state ?? state.endings.at(-1)?.report.state;
    const deployment = state.active?.order.deployment ?? state.running?.deployment;
    return {
      v: 1,
      env: this.#identity.env,
      service: this.service.name,
      instance: this.#identity.instance,
      ...(this.#identity.zone === undefined ? {} : { zone: this.#identity.zone }),
      version,
      sequence: state.running?.sequence ?? 0,
      ...(deployment === undefined ? {} : { deployment }),
      ...(last === undefined ? {} : { state: last }),
      ...(active === undefined ? {} : { active }),
      pinned: state.pinned !== null,
      agentVersion: this.#identity.agentVersion,
      at: new Date(this.#ports.clock.now()).toISOString(),
    };
  }

  async run(stopping: AbortSignal) {
    const outbox = this.#outbox.run(stopping);
    const aborted = Promise.withResolvers<void>();
    stopping.addEventListener('abort', () => aborted.resolve(), { once: true });
    if (this.state().active) await this.#takeUpAgain();
    for (let failures = 0; !stopping.aborted; ) {
      this.#wake = Promise.withResolvers();
      try {
        const worked = await this.#next(stopping);
        failures = 0;
        if (!worked) await Promise.race([this.#wake.promise, aborted.promise]);
      } catch (error) {
        // The journal could not be written (a full disk, say): nothing was lost, so it is tried again.
        const pause = backoffMs(failures, RETRY);
        failures += 1;
        this.#log.error({ err: error, retryMs: pause }, 'the deployment could not go on');
        await this.#ports.clock.sleep(pause, stopping).catch(() => undefined);
      }
    }
    await outbox;
  }

  /** Does the next thing there is to do; false when there is none. */
  async #next(stopping: AbortSignal): Promise<boolean> {
    if (!this.state().active) {
      if (!this.state().waiting) return false;
      const bootId = await this.#ports.host.bootId();
      await this.#update((state) => begun(state, { bootId, now: this.#ports.clock.now() }));
    }
    this.#giveUp = new AbortController();
    this.#giveUpIfOutdated();
    const run = this.#openRun(stopping);
    const result = await runDeployment(run);
    if ('interrupted' in result) {
      if (stopping.aborted) return true;
      await this.#takeUpAgain();
      throw new Error('interrupted without a stop');
    }
    if ('held' in result) {
      if (!this.state().waiting) return this.state().active?.order.hold === false;
      await this.#end(run, {
        ending: 'superseded',
        error: new TriggerDeployError('SUPERSEDED', 'a newer one came'),
      });
      return true;
    }
    await this.#end(run, result);
    return true;
  }

  async #end(run: Run, result: Exclude<RunResult, { held: true } | { interrupted: true }>) {
    const report = endingReport(run, result);
    await this.#update((state) => finished(state, result.ending, report));
    const took = Object.values(report.timings).reduce((sum, ms) => sum + (ms ?? 0), 0);
    const level = result.ending === 'succeeded' ? 'info' : result.ending === 'broken' ? 'fatal' : 'warn';
    run.log[level](
      {
        previous: report.previous,
        ms: took,
        timings: report.timings,
        ...(report.error ? { code: report.error.code } : {}),
      },
      report.error ? `${result.ending}: ${report.error.message}` : result.ending,
    );
    await this.#tidy(run);
  }

  /** After an ending: room for the next release, and the record told what runs. Neither can fail the deployment. */
  async #tidy(run: Run) {
    try {
      const removed = await this.#ports.package.prune(precious(this.state()));
      if (removed.length > 0) run.log.info({ removed }, 'old releases removed');
    } catch (error) {
      run.log.warn({ err: error }, 'old releases could not be removed');
    }
    try {
      await this.#ports.reporter.putInstance(await this.record(run.stopping), run.stopping);
    } catch (error) {
      run.log.warn(
        { err: error },
        'the instance record could not be written: the next change or start writes it',
      );
    }
  }

  async #takeUpAgain() {
    const bootId = await this.#ports.host.bootId();
    await this.#update((state) => takenUpAgain(state, bootId));
    const active = this.state().active;
    if (!active) return;
    this.#log.warn(
      {
        deployment: active.order.deployment,
        state: active.state,
        direction: active.direction,
        recoveries: active.recoveries,
      },
      'taking up the deployment the journal holds',
    );
  }

  #openRun(stopping: AbortSignal): Run {
    const active = this.state().active;
    if (!active) throw new Error('no deployment is active');
    const { deployment, version, sequence } = active.order;
    return createRun({
      ports: this.#ports,
      service: this.service,
      identity: this.#identity,
      log: this.#log.child({ deployment, version, sequence }),
      stopping,
      cancelled: this.#giveUp.signal,
      cell: this.#cell,
    });
  }

  /** A cancel or a newer order may have been journalled before this run could be aborted. */
  #giveUpIfOutdated() {
    const { active, waiting, tombstones } = this.state();
    if (!active || !beforeSwitch(active)) return;
    if (tombstones.includes(active.order.deployment)) {
      this.#giveUp.abort(new TriggerDeployError('CANCELLED', 'cancelled before anything was switched'));
    } else if (waiting) {
      this.#giveUp.abort(supersededBy(waiting));
    }
  }

  #endWaiting(state: ServiceState, ending: Ending, why: TriggerDeployError): ServiceState {
    if (!state.waiting) return state;
    const last = this.#neverBegan(state.waiting, ending, why);
    return withEnding({ ...state, waiting: null }, last, state.waiting.replyTo);
  }

  #neverBegan(order: Order, state: Ending, why: TriggerDeployError) {
    return reportOf(this.#identity, order, {
      state,
      n: 1,
      at: this.#ports.clock.now(),
      changed: false,
      error: reportErrorOf(why, undefined),
      timings: {},
    });
  }

  async #update(change: (state: ServiceState) => ServiceState) {
    await this.#cell.update(change);
    if (this.state().outbox.length > 0) this.#outbox.wake();
  }
}

function supersededBy(order: Order): TriggerDeployError {
  return new TriggerDeployError('SUPERSEDED', `superseded by ${order.version} (sequence ${order.sequence})`);
}
