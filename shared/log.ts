import pino from 'pino';

export type Log = pino.Logger;

/**
 * pino JSON lines on stdout, synchronous so that nothing is lost when the process is killed. Levels are
 * words (`info`), times are ISO 8601: journald and people read them without a decoder.
 */
export function createLog(level: string, base: Record<string, string>): Log {
  return pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    pino.destination({ dest: 1, sync: true }),
  );
}

/** A log that says nothing. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
