import type { LogPartName } from '../../shared/names.ts';

/** The interface to the place where logs are kept. */

/** Some bytes of a log, ready to be stored. */
export interface LogPart extends Omit<LogPartName, 'compressed'> {
  /** What is stored: the bytes, or these compressed. */
  body: Buffer;
  compressed: boolean;
  /** Of `body`. */
  sha256: Buffer;
}

export interface LogStore {
  /**
   * Stores the part under a key that only its name decides. Idempotent: a part that is stored already stays as it is.
   * @throws AWS errors; the reason of `signal`.
   */
  put(part: LogPart, signal: AbortSignal): Promise<void>;
}
