import { messageOf } from '../../shared/errors.ts';
import { isEnding, type Report } from '../../shared/report.ts';
import { note } from '../events.ts';
import type { ReplyQueue } from '../messaging/reply-queue.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { ReportReader } from '../record/deployments.ts';
import type { Session } from '../session.ts';
import { type Settlement, settle } from './settle.ts';

/** The longest time between two looks at the clock, ms. */
const TICK_MS = 500;

/** What has been heard of a deployment, the latest of each instance. */
export interface Progress {
  readonly reports: ReadonlyMap<string, Report>;
  /** Takes a report in, if it is about this deployment and tells something new, and emits it. */
  hear(report: Report): void;
  /** From the announcement to the last ending heard, ms; 0 when there was none. */
  tookMs(): number;
  /** Resolves with the next report that is news, or else as `tick` does; whoever waits for hours leaves nothing behind. */
  newsOr<T>(tick: Promise<T>): Promise<T | undefined>;
}

export function openProgress(
  session: Session,
  record: Pick<DeploymentRecord, 'deployment' | 'env' | 'service'>,
  /** Since the announcement, ms. */
  elapsed: () => number,
): Progress {
  const reports = new Map<string, Report>();
  let lastEnding = 0;
  // Not a promise of the next news: each race against one that stays open for hours would be kept with it.
  const waiting = new Set<() => void>();
  return {
    reports,
    hear(report) {
      if (report.deployment !== record.deployment || report.service !== record.service) return;
      if (report.env !== record.env || !isNews(reports.get(report.instance), report)) return;
      reports.set(report.instance, report);
      if (isEnding(report.state)) lastEnding = elapsed();
      session.emit({ type: 'report', at: session.clock.now(), report });
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

/** Reports come twice, late and out of order; an ending stands. */
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
  /** The fast path; a `watch` has none. */
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
export async function follow(session: Session, following: Following): Promise<Settlement | undefined> {
  const { record, progress, elapsed, detach, abort } = following;
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, detach, abort]);
  const listening = following.replies?.listen((said) => {
    if (said.kind === 'report') progress.hear(said);
  }, stop);
  const look = recordLook(session, following);
  const polling = poll(session, following, look, stop);
  const verdict = () => settle(record, progress.reports, elapsed());
  try {
    let tick = nextTick(session, stop);
    while (!polling.enough) {
      if (verdict() !== undefined) {
        await look();
        const final = verdict();
        if (final !== undefined) return final;
      }
      stop.throwIfAborted();
      const ticked = await progress.newsOr(tick);
      if (ticked) tick = nextTick(session, stop);
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

/** True after a while, and at once when `stop` aborts. */
const nextTick = (session: Session, stop: AbortSignal): Promise<true> =>
  session.clock.sleep(TICK_MS, stop).then(
    () => true,
    () => true,
  );

function poll(session: Session, following: Following, look: () => Promise<void>, stop: AbortSignal) {
  const state = { enough: false, done: Promise.resolve() };
  const loop = async () => {
    while (!stop.aborted && !state.enough) {
      await session.clock.sleep(following.pollMs, stop);
      await look();
      state.enough = (await following.enough?.()) ?? false;
    }
  };
  state.done = loop().catch((error: unknown) => {
    if (!stop.aborted) throw error;
  });
  return state;
}

/**
 * Reads what is new in the record. What cannot be read now is read at the next turn: only time decides that
 * an instance is silent.
 */
function recordLook(session: Session, { progress, read }: Following): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      for (const report of await read()) progress.hear(report);
      failing = false;
    } catch (error) {
      if (!failing) {
        const text = `the record cannot be read, trying on: ${messageOf(error)}`;
        note(session, text, 'warning');
      }
      failing = true;
    }
  };
}
