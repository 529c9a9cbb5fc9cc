import pino from 'pino';
import { textOf } from './log-text.ts';

export type Log = pino.Logger;

/** `json` is for programs, `text` for people. `journal` is `text` with the priority of each line for journald. */
export type LogFormat = 'json' | 'text' | 'journal';

/**
 * Creates a pino log that writes to stdout. Writes are synchronous, so that no entry is lost when the process is
 * killed. Levels are words (`info`), times are ISO 8601.
 */
export function createLog(level: string, base: Record<string, string>, format: LogFormat = 'json'): Log {
  const stdout = pino.destination({ dest: 1, sync: true });
  const destination =
    format === 'json'
      ? stdout
      : { write: (entry: string) => void stdout.write(textOf(entry, format === 'journal')) };
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
