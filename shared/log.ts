import pino from 'pino';
import { textOf } from './log-text.ts';
import { writeAll } from './output.ts';

const STDOUT = 1;

export type Log = pino.Logger;

/** `json` is for programs, `text` for people. `journal` is `text` with the priority of each line for journald. */
export type LogFormat = 'json' | 'text' | 'journal';

/**
 * Creates a pino log that writes to stdout. Writes are synchronous, so that no entry is lost when the process is
 * killed. An entry that cannot be written (a full disk, a closed pipe) is dropped. Levels are words (`info`), times are
 * ISO 8601.
 */
export function createLog(level: string, base: Record<string, string>, format: LogFormat = 'json'): Log {
  const textFor = (entry: string) => (format === 'json' ? entry : textOf(entry, format === 'journal'));
  const destination = { write: (entry: string) => writeAll(STDOUT, textFor(entry)) };
  return pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    destination,
  );
}

/** A log that says nothing. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
