import { messageOf } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import { createWakeUp, type WakeUp } from '../../shared/wake-up.ts';
import { note } from '../events.ts';
import type { ReplyQueue } from '../messaging/reply-queue.ts';
import type { DeploymentRecord, Forgotten } from '../record/deployment-schema.ts';
import type { ReportReader } from '../record/instance-objects.ts';
import type { Output } from './driving.ts';
import { type Settlement, settle } from './settle.ts';

/** How often the deployment is checked while no report comes, ms. */
const TICK_MS = 500;

/** The reports of a deployment, the latest of each instance. */
export interface Progress {
  readonly reports: ReadonlyMap<string, Report>;
  /**
   * Emits `report`, if it is about this deployment and newer than the last report of its instance. It counts, and is kept
   * in `reports`, if its instance is expected, was heard before, or is `heard` now: SQS names the sender of a reply. If no
   * instance was expected, every report counts. If the deployment is for some instances, only theirs count.
   */
  add(report: Report, heard?: 'heard'): void;
  /** Time from the announcement until the last ending was added, ms; 0 without an ending. */
  tookMs(): number;
  /** Time from the announcement until the ending of each instance was added, ms. */
  readonly heardMs: ReadonlyMap<string, number>;
  /** Resolves with the next new report, after `timer.ms`, or when `signal` aborts. Never rejects. */
  nextReport: WakeUp['wait'];
}

export function openProgress(
  { emit, clock }: Output,
  record: Pick<DeploymentRecord, 'deployment' | 'env' | 'service' | 'expected' | 'targets' | 'rolling'>,
  /** The time since the announcement, ms; below 0 when AWS's clock has set back this one since. */
  elapsed: () => number,
): Progress {
  const reports = new Map<string, Report>();
  /** The last reports of the others. They are shown only. */
  const others = new Map<string, Report>();
  const counted = new Set(record.expected);
  const isForSome = record.targets !== undefined || record.rolling !== undefined;
  const isCounted = (instance: string) =>
    counted.has(instance) || (record.expected.length === 0 && !isForSome);
  const heardMs = new Map<string, number>();
  const news = createWakeUp();
  return {
    reports,
    add(report, heard) {
      if (report.deployment !== record.deployment || report.service !== record.service) return;
      if (report.env !== record.env) return;
      if (heard !== undefined && !isForSome) counted.add(report.instance);
      const kept = isCounted(report.instance) ? reports : others;
      if (!isNewer(report, kept.get(report.instance))) return;
      kept.set(report.instance, report);
      if (kept === others) return emit({ type: 'report', at: clock.now(), report });
      if (isEnding(report.state)) heardMs.set(report.instance, Math.max(0, Math.round(elapsed())));
      emit({ type: 'report', at: clock.now(), report });
      news.wake();
    },
    tookMs: () => Math.max(0, ...heardMs.values()),
    heardMs,
    nextReport: news.wait,
  };
}

/** Of so many replies the ETags are kept: one instance can send any number of replies. */
const MOST_HEARD = 100_000;

/** Takes replies: their reports go to `progress`, and the ETags of their texts to `heard`. */
export function hearing(
  progress: Pick<Progress, 'add'>,
  heard: Set<string>,
): Parameters<ReplyQueue['listen']>[0] {
  return (reply, etag) => {
    if (reply.kind !== 'report') return;
    progress.add(reply, 'heard');
    if (etag !== undefined && heard.size < MOST_HEARD) heard.add(etag);
  };
}

/**
 * Whether `report` is newer than `known`, a report of the same instance. Reports can arrive twice, late or out of
 * order. No report is newer than an ending.
 */
export function isNewer(report: Report, known: Report | undefined): boolean {
  if (known === undefined) return true;
  if (isEnding(known.state)) return false;
  if (isEnding(report.state)) return true;
  if (report.n !== known.n) return report.n > known.n;
  return Date.parse(report.at) > Date.parse(known.at);
}

/** What `follow` needs. */
export interface Following {
  record: DeploymentRecord;
  progress: Progress;
  /** The reply queue, on which reports arrive first. A `watch` has none. */
  replies?: ReplyQueue | undefined;
  read: ReportReader;
  /** How often the record is read, ms. */
  pollMs: number;
  /** The time since the announcement, ms. */
  elapsed: () => number;
  /** The instances that are not waited for, as far as known now. */
  forgotten: () => readonly Forgotten[];
  /** Called after each poll of the record. When it returns true, `follow` ends without a settlement. Must not throw. */
  afterPoll?: (() => Promise<boolean>) | undefined;
  /** When it aborts, `follow` returns undefined. */
  detach: AbortSignal;
  /** When it aborts, `follow` throws its reason. */
  abort: AbortSignal;
}

/**
 * Follows a deployment until it can be settled (`settle`). Takes replies as they arrive, and reads the record every
 * `pollMs` and once more before the settlement. Returns undefined when detached, or when `afterPoll` returned true.
 * @throws the reason of `abort` after it aborts.
 */
export async function follow(output: Output, following: Following): Promise<Settlement | undefined> {
  const { record, progress, elapsed, detach, abort } = following;
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, detach, abort]);
  const heard = new Set<string>();
  const listening = following.replies?.listen(hearing(progress, heard), stop);
  const readRecord = recordReader(output, following, heard);
  const polling = poll(output.clock, following, readRecord, stop);
  const settlement = () =>
    settle({ ...record, forgotten: [...following.forgotten()] }, progress.reports, elapsed());
  try {
    while (!polling.enough) {
      if (settlement() !== undefined) {
        await readRecord();
        const final = settlement();
        if (final !== undefined) return final;
      }
      stop.throwIfAborted();
      await progress.nextReport(stop, { clock: output.clock, ms: TICK_MS });
    }
    return undefined;
  } catch (error) {
    if (abort.aborted) throw abort.reason;
    if (detach.aborted) return undefined;
    throw error;
  } finally {
    over.abort();
    await Promise.allSettled([listening, polling.done]);
  }
}

function poll(
  clock: Output['clock'],
  following: Following,
  readRecord: () => Promise<void>,
  stop: AbortSignal,
) {
  const state = { enough: false, done: Promise.resolve() };
  const loop = async () => {
    while (!stop.aborted && !state.enough) {
      await clock.sleep(following.pollMs, stop);
      await readRecord();
      state.enough = (await following.afterPoll?.()) ?? false;
    }
  };
  state.done = loop().catch((error: unknown) => {
    if (!stop.aborted) throw error;
  });
  return state;
}

/**
 * Returns a function that adds the new reports in the record to `progress`. A failed read is only a warning, and the
 * next poll reads again: only elapsed time makes an instance count as silent or late.
 */
function recordReader(
  output: Output,
  { progress, read, detach, abort }: Following,
  heard: ReadonlySet<string>,
): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      for (const report of await read(heard)) progress.add(report);
      failing = false;
    } catch (error) {
      if (!failing && !detach.aborted && !abort.aborted) {
        const text = `the record cannot be read; retrying: ${messageOf(error)}`;
        note(output, text, 'warning');
      }
      failing = true;
    }
  };
}
