import { messageOf } from '../../shared/errors.ts';
import { isEnding, type Report } from '../../shared/report.ts';
import { note } from '../events.ts';
import type { ReplyQueue } from '../messaging/reply-queue.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { ReportReader } from '../record/deployments.ts';
import type { Output } from './driving.ts';
import { type Settlement, settle } from './settle.ts';

/** How often the deployment is checked while no report comes, ms. */
const TICK_MS = 500;

/** The reports of a deployment, the latest of each instance. */
export interface Progress {
  readonly reports: ReadonlyMap<string, Report>;
  /** Keeps and emits a report, if it is about this deployment and newer than the one of its instance. */
  hear(report: Report): void;
  /** From the announcement to the last ending, ms; 0 without one. */
  tookMs(): number;
  /** Resolves with the next new report, or as `tick` does; waiting for hours keeps no memory. */
  newsOr<T>(tick: Promise<T>): Promise<T | undefined>;
}

export function openProgress(
  { emit, clock }: Output,
  record: Pick<DeploymentRecord, 'deployment' | 'env' | 'service'>,
  /** Since the announcement, ms. */
  elapsed: () => number,
): Progress {
  const reports = new Map<string, Report>();
  let lastEnding = 0;
  // A promise shared by all races and open for hours would keep each of them in memory.
  const waiting = new Set<() => void>();
  return {
    reports,
    hear(report) {
      if (report.deployment !== record.deployment || report.service !== record.service) return;
      if (report.env !== record.env || !isNews(reports.get(report.instance), report)) return;
      reports.set(report.instance, report);
      if (isEnding(report.state)) lastEnding = elapsed();
      emit({ type: 'report', at: clock.now(), report });
      for (const wake of waiting) wake();
    },
    tookMs: () => lastEnding,
    async newsOr(tick) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = () => resolve(undefined);
      waiting.add(wake);
      try {
        return await Promise.race([promise, tick]);
      } finally {
        waiting.delete(wake);
      }
    },
  };
}

/** Reports come twice, late and out of order; nothing follows an ending. */
export function isNews(known: Report | undefined, said: Report): boolean {
  if (known === undefined) return true;
  if (isEnding(known.state)) return false;
  if (isEnding(said.state)) return true;
  if (said.n !== known.n) return said.n > known.n;
  return Date.parse(said.at) > Date.parse(known.at);
}

export interface Following {
  record: DeploymentRecord;
  progress: Progress;
  /** Where reports arrive first; a `watch` has no reply queue. */
  replies?: ReplyQueue | undefined;
  read: ReportReader;
  /** How often the record is read, ms. */
  pollMs: number;
  /** Since the announcement, ms. */
  elapsed: () => number;
  /** Asked after each reading of the record, never throws: true ends the following without a verdict. */
  enough?: (() => Promise<boolean>) | undefined;
  /** Ends it: with `detach` it returns undefined, with `abort` it throws its reason. */
  detach: AbortSignal;
  abort: AbortSignal;
}

/**
 * Follows every instance to its end: replies as they come, the record every `pollMs` and once more before the
 * verdict. Undefined when detached (or `enough`).
 */
export async function follow(output: Output, following: Following): Promise<Settlement | undefined> {
  const { record, progress, elapsed, detach, abort } = following;
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, detach, abort]);
  const listening = following.replies?.listen((said) => {
    if (said.kind === 'report') progress.hear(said);
  }, stop);
  const readRecord = recordReader(output, following);
  const polling = poll(output.clock, following, readRecord, stop);
  const verdict = () => settle(record, progress.reports, elapsed());
  try {
    let tick = nextTick(output.clock, stop);
    while (!polling.enough) {
      if (verdict() !== undefined) {
        await readRecord();
        const final = verdict();
        if (final !== undefined) return final;
      }
      stop.throwIfAborted();
      const ticked = await progress.newsOr(tick);
      if (ticked) tick = nextTick(output.clock, stop);
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

/** True after `TICK_MS`, and at once when `stop` aborts. */
const nextTick = (clock: Output['clock'], stop: AbortSignal): Promise<true> =>
  clock.sleep(TICK_MS, stop).then(
    () => true,
    () => true,
  );

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
      state.enough = (await following.enough?.()) ?? false;
    }
  };
  state.done = loop().catch((error: unknown) => {
    if (!stop.aborted) throw error;
  });
  return state;
}

/**
 * Reads the new reports in the record. What cannot be read now is read at the next poll: only time decides that an
 * instance is silent.
 */
function recordReader(output: Output, { progress, read }: Following): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      for (const report of await read()) progress.hear(report);
      failing = false;
    } catch (error) {
      if (!failing) {
        const text = `the record cannot be read; retrying: ${messageOf(error)}`;
        note(output, text, 'warning');
      }
      failing = true;
    }
  };
}
