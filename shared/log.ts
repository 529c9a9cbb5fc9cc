import pino from 'pino';
import { textOf } from './log-text.ts';

export type Log = pino.Logger;

/** `json` for machines, `text` for people, `journal` for people who read journald's journal. */
export type LogFormat = 'json' | 'text' | 'journal';

/**
 * pino on stdout, one JSON line per entry or text, synchronous so that nothing is lost when the process is killed.
 * Levels are words (`info`), times are ISO 8601.
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
