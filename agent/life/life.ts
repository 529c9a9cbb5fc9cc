import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { DesiredReader } from '../deploy/converge.ts';
import type { Host, Reporter } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { repeat } from '../loop/repeat.ts';
import { endInstance } from './ending.ts';
import type { Gate } from './gate.ts';
import { awaitLaunch } from './launch.ts';
import { type LifeState, lifeAtStart } from './life-state.ts';
import {
  type Notice,
  noticeOf,
  noticeText,
  type Readings,
  recordOf,
  type Seen,
  understand,
} from './notice.ts';
import type { Actions, LifeStore, Notices } from './ports.ts';
import { timed } from './timed.ts';

/**
 * Watches what is announced about the life of this instance, and acts on it: `ending.ts` when it ends, `launch.ts` when it
 * begins. A notice that is taken back is undone: traffic returns, and deployments begin again.
 */
export interface LifeParts {
  instance: string;
  workers: ReadonlyMap<string, Pick<ServiceWorker, 'end' | 'record' | 'convergence'>>;
  notices: Notices;
  store: LifeStore;
  gate: Pick<Gate, 'set'>;
  /** Removes the queue and its subscription, and marks the records as left. Idempotent. */
  leave(signal: AbortSignal): Promise<void>;
  actions: Actions;
  settings: LifeSettings;
  desired: DesiredReader;
  reporter: Pick<Reporter, 'putInstance'>;
  host: Pick<Host, 'bootId'>;
  /** Shows the notice to people; undefined takes it away. */
  show(text: string | undefined): void;
  clock: Clock;
  log: Log;
}

/** Times in ms. */
export interface LifeSettings {
  /** For an end without a time of its own; no end may take longer. */
  within: number;
  launchHook?: string | undefined;
  terminateHook?: string | undefined;
  launchWithin: number;
  onFailedLaunch: 'abandon' | 'wait';
}

/** What AWS recommends for interruption notices (EC2 User Guide, "Spot Instance interruption notices"), ms. */
const READ_EVERY = 5000;
/** A notice is over when so many reads in a row did not have it. */
const READS_WITHOUT = 2;
const RECORDS_WITHIN = 10_000;

/** Work in the background that can be ended. */
interface Running {
  abort: AbortController;
  done: Promise<void>;
}

/**
 * Loads what an earlier process knew: the workers know of its notice before they begin. The result watches until
 * `stopping` aborts, and never throws.
 */
export async function openLife(parts: LifeParts): Promise<(stopping: AbortSignal) => Promise<void>> {
  const { workers, notices, store, gate, settings, clock, log } = parts;
  const bootId = await parts.host.bootId();
  let state = lifeAtStart(await store.load(), { instance: parts.instance, bootId, now: clock.now() });
  let rebalance: Seen['rebalance'];
  let readsWithout = 0;
  let notUnderstood = '';
  let saved = Promise.resolve();
  /** What the workers were told last. */
  let announced: string | undefined;
  let ending: (Running & { notice: Notice }) | undefined;
  let launching: Running | undefined;

  /** One write after the other. A full disk must not keep the end of an instance: what is in memory counts. */
  async function save(patch: Partial<LifeState>): Promise<void> {
    state = { ...state, ...patch };
    saved = saved
      .then(() => store.save(state))
      .catch((error: unknown) => log.error({ err: error }, 'cannot record the life of the instance'));
    await saved;
  }

  async function announce(signal: AbortSignal): Promise<void> {
    const notice = recordOf(state.notice ?? undefined, rebalance);
    const key = JSON.stringify(notice ?? null);
    if (key === announced) return;
    parts.show(notice && `${notice.terminating ? 'terminating' : 'notice'}: ${noticeText(notice)}`);
    await Promise.all([...workers.values()].map((worker) => worker.end.announce(notice, signal)));
    announced = key;
    if (notice?.terminating) log.warn({ notice: notice.kind, at: notice.at }, 'the instance is about to end');
    // In the background: S3 must not delay the end.
    if (!state.leaving) void writeRecords(signal);
  }

  async function writeRecords(signal: AbortSignal): Promise<void> {
    const put = async (limited: AbortSignal) => {
      const records = [...workers.values()].map((worker) => worker.record(limited));
      await Promise.all(records.map(async (one) => parts.reporter.putInstance(await one, limited)));
    };
    await timed(clock, RECORDS_WITHIN, 'writing the records', signal, put).catch((error: unknown) => {
      if (!signal.aborted) log.warn({ err: error }, `the record cannot be written: ${messageOf(error)}`);
    });
  }

  /** Begins the end, or begins it again with another time. Without a notice, ends what was begun. */
  async function act(stopping: AbortSignal): Promise<void> {
    const { notice } = state;
    if (ending && notice && isSame(ending.notice, notice)) return;
    ending?.abort.abort(new Error('the notice has changed'));
    await ending?.done;
    ending = undefined;
    if (!notice) return;
    const abort = new AbortController();
    const signal = AbortSignal.any([stopping, abort.signal]);
    const { terminateHook: name } = settings;
    const work = endInstance(
      {
        ...{ notice, done: state, save, clock, log },
        services: new Map([...workers].map(([service, worker]) => [service, worker.end])),
        hook: name === undefined ? undefined : { name, actions: parts.actions },
        async leave(limited) {
          gate.set(false);
          await save({ leaving: true });
          await parts.leave(limited);
        },
      },
      signal,
    );
    const done = work.catch((error: unknown) => {
      if (!signal.aborted) log.error({ err: error }, `the end of the instance failed: ${messageOf(error)}`);
    });
    ending = { notice, abort, done };
  }

  /** Completes the launch once all services have converged, in the background. */
  async function launch(stopping: AbortSignal): Promise<void> {
    const { launchHook: hook, launchWithin, onFailedLaunch: onFailure } = settings;
    const since = state.launchingSince;
    if (state.notice) {
      launching?.abort.abort(new Error('the instance is about to end'));
      await launching?.done;
      return;
    }
    if (launching || hook === undefined || since === null) return;
    const abort = new AbortController();
    const signal = AbortSignal.any([stopping, abort.signal]);
    const services = new Map(
      [...workers].map(([service, worker]) => [
        service,
        { convergence: (limited: AbortSignal) => worker.convergence(parts.desired, limited) },
      ]),
    );
    const { actions } = parts;
    const waiting = { hook, actions, services, deadline: since + launchWithin, onFailure, clock, log };
    const done = awaitLaunch(waiting, signal)
      .then(async () => {
        if (state.launchingSince === since) await save({ launchingSince: null });
      })
      .catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error }, `the launch: ${messageOf(error)}`);
      })
      .finally(() => {
        launching = undefined;
      });
    launching = { abort, done };
  }

  /** What a read means for the state. */
  async function observe(readings: Readings): Promise<void> {
    const seen = understand(readings);
    const unknown = seen.unknown.join('; ');
    if (unknown !== '' && unknown !== notUnderstood)
      log.warn(`the instance metadata is not understood: ${unknown}`);
    notUnderstood = unknown;
    rebalance = seen.rebalance;
    const before = state.notice ?? undefined;
    const { wasInService } = state;
    const found = noticeOf(seen, { before, wasInService, now: clock.now(), within: settings.within });
    // A text that is not understood does not say that the instance stays.
    const isStaying = !found && !seen.isDoubtful;
    readsWithout = isStaying ? readsWithout + 1 : 0;
    if (found && !(before && isSame(found, before))) {
      await save({ notice: found, ...(found.kind !== before?.kind && { completed: false }) });
    }
    if (before && isStaying && readsWithout >= READS_WITHOUT) {
      log.info({ notice: before.kind }, 'the notice was taken back: the instance stays');
      await save({ notice: null, leaving: false, left: false, completed: false });
      gate.set(true);
    }
    await noteTarget(seen);
  }

  async function noteTarget({ target }: Seen): Promise<void> {
    const { pooled, wasInService } = state;
    if (target?.startsWith('Warmed:') && !pooled) await save({ pooled: true });
    if (target !== 'InService') return;
    // Out of the warm pool, the group waits for the instance as it does at its first launch.
    if (pooled) await save({ pooled: false, wasInService: true, launchingSince: clock.now() });
    else if (!wasInService) await save({ wasInService: true });
  }

  gate.set(!state.leaving);
  await save({});
  if (state.notice) {
    const notice = recordOf(state.notice, undefined);
    const calm = new AbortController().signal;
    for (const worker of workers.values()) await worker.end.announce(notice, calm);
  }

  return async (stopping) => {
    await repeat(parts, stopping, 'reading the notices of the instance', async (signal) => {
      try {
        await observe(await notices.read(signal));
      } finally {
        // Also where the metadata cannot be read: what an earlier process has begun goes on.
        if (!signal.aborted) {
          // The workers know of an end before it begins, and that the instance stays after what was begun has ended.
          if (state.notice) await announce(signal);
          await act(signal);
          await announce(signal);
          await launch(signal);
        }
      }
      return READ_EVERY;
    });
    await Promise.all([ending?.done, launching?.done, saved]);
  };
}

/** Whether the two are the same notice; their deadlines then are, too. */
function isSame(one: Notice, other: Notice): boolean {
  return one.kind === other.kind && one.at === other.at && one.hook === other.hook;
}
