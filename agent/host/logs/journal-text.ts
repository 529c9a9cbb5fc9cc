import * as z from 'zod';

/** Entries of the systemd journal, as `journalctl -o json` prints them, as lines of text. Pure. */

/** JSON of journalctl(1): a field with bytes that are no text is an array of numbers, a repeated one an array of values. */
const field = z.union([z.string(), z.null(), z.array(z.unknown())]).optional();
const entry = z.object({
  __CURSOR: z.string(),
  __REALTIME_TIMESTAMP: z.string().regex(/^\d{1,17}$/),
  MESSAGE: field,
  SYSLOG_IDENTIFIER: field,
  _PID: field,
});

export interface JournalEntry {
  cursor: string;
  /** µs since the epoch */
  at: number;
  text: string;
}

/** Undefined for what is no entry. */
export function entryOf(line: string): JournalEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { success, data } = entry.safeParse(value);
  if (!success) return undefined;
  const at = Number(data.__REALTIME_TIMESTAMP);
  const time = new Date(Math.floor(at / 1000)).toISOString().slice(0, -1);
  const pid = textOf(data._PID);
  const who = `${textOf(data.SYSLOG_IDENTIFIER)}${pid && `[${pid}]`}`;
  const message = textOf(data.MESSAGE).replaceAll('\n', '\n    ');
  return {
    cursor: data.__CURSOR,
    at,
    text: `${time}${String(at % 1000).padStart(3, '0')}Z ${who}: ${message}\n`,
  };
}

function textOf(value: z.infer<typeof field>): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return '';
  const isBytes = value.every((one) => typeof one === 'number');
  return isBytes ? Buffer.from(value as number[]).toString('utf8') : value.map(String).join(' ');
}
