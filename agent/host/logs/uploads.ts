import { randomBytes } from 'node:crypto';
import { messageOf } from '../../../shared/errors.ts';
import type { Log } from '../../../shared/log.ts';
import type { LogPart, LogStore } from '../../deploy/log-port.ts';
import type { DurableMap } from '../state/durable-map.ts';
import type { Turn } from './gate.ts';
import type { LogEntry } from './streams.ts';

/**
 * Uploads parts of logs: each is planned on disk before it is uploaded, and noted on disk afterwards. A kill in between
 * repeats the upload of the same bytes under the same key, and S3 keeps the first. So nothing is stored twice.
 */

type Changes = Readonly<Record<string, LogEntry | undefined>>;

export interface Uploads {
  readonly entries: ReadonlyMap<string, LogEntry>;
  /** On disk when it resolves; `isLast`: or not, on a full disk, because this instance ends. @throws system errors. */
  note(changes: Changes, isLast?: boolean): Promise<void>;
  /** Whether the day's limit is used up. */
  isSpent(): boolean;
  /** Uploads a part that is planned on disk. What `done` returns is noted afterwards. */
  upload(part: LogPart, done: () => Changes, how: UploadHow): Promise<void>;
}

export interface UploadHow {
  signal: AbortSignal;
  /** These are the last logs: this instance ends. */
  isLast: boolean;
  turn: Turn;
}

export interface UploadOptions {
  map: DurableMap<LogEntry>;
  store: LogStore;
  /** Bytes that are stored on one day at most. */
  maxPerDay: number;
  /**
   * A part counts as this many bytes at least: a request is paid for, however small it is, and the user of the service could
   * make as many as the line carries, with a file of one hole or with thousands of files.
   */
  partCountsAs: number;
  /** ms since the epoch */
  now: () => number;
  log: Log;
}

const SPENT = 'spent';

export function createUploads({ map, store, maxPerDay, partCountsAs, now, log }: UploadOptions): Uploads {
  let toldDay = '';
  const today = () => new Date(now()).toISOString().slice(0, 10);

  function spentToday(): number {
    const spent = map.entries.get(SPENT);
    return spent?.kind === 'spent' && spent.day === today() ? spent.bytes : 0;
  }

  /** A full disk is often why an instance ends: the last logs are worth more than a note that they were uploaded. */
  async function note(changes: Changes, isLast = false): Promise<void> {
    await map.set(changes).catch((error: unknown) => {
      if (!isLast) throw error;
      log.warn({ err: error }, `cannot note which logs are uploaded: ${messageOf(error)}`);
    });
  }

  return {
    entries: map.entries,
    note,
    isSpent() {
      if (spentToday() < maxPerDay) return false;
      if (toldDay !== today())
        log.warn({ maxPerDay }, 'no more logs are uploaded today: maxPerDay is reached');
      toldDay = today();
      return true;
    },
    async upload(part, done, { signal, isLast, turn }) {
      turn.spend(part.body.length);
      await store.put(part, signal);
      const bytes = spentToday() + Math.max(part.body.length, partCountsAs);
      const spent: LogEntry = { kind: 'spent', day: today(), bytes };
      await note({ ...done(), [SPENT]: spent }, isLast);
    },
  };
}

/** The id of a log. Random: two logs may begin with the same bytes, in the same inode. */
export const newLogId = () => randomBytes(8).toString('hex');
