import { cleanTail } from './clean-text.ts';
import { formatMs } from './duration.ts';
import { STEPS } from './states.ts';

/**
 * Turns a log entry into lines for a person who reads `journalctl -u trigger-deploy-agent`: first the service and the
 * change, then the message, then the duration. journald adds time, host and program. Pure.
 */

/** The fields of a pino entry that this file reads. */
interface Entry {
  level?: string;
  msg?: string;
  service?: string;
  deployment?: string;
  version?: string;
  previous?: string | null;
  /** The time since the deployment began, ms. */
  sinceMs?: number;
  /** How long the whole deployment took, ms. */
  ms?: number;
  timings?: Record<string, number>;
  /** The result of the previous step. */
  note?: string;
  hint?: string;
  reason?: { code: string; message: string };
  err?: SerializedError;
  [key: string]: unknown;
}

interface SerializedError {
  message?: string;
  code?: string;
  hint?: string;
  detail?: string;
  stack?: string;
}

/** sd-daemon(3): the prefix from which journald reads the priority of a line. */
const PRIORITY: Record<string, string> = {
  fatal: '<2>',
  error: '<3>',
  warn: '<4>',
  info: '<6>',
  debug: '<7>',
  trace: '<7>',
};

/**
 * The fields that are not printed as `key=value`. The line shows them elsewhere, or they are the same in every line of
 * one agent, or only programs need them.
 */
const PLACED: ReadonlySet<string> = new Set([
  ...['level', 'time', 'program', 'instance', 'env', 'msg', 'service', 'deployment', 'version', 'previous'],
  ...['sequence', 'state', 'direction', 'sinceMs', 'ms', 'timings', 'note', 'hint', 'reason', 'err', 'code'],
]);

/**
 * The lines of one entry. Each ends with a newline and, with `priorities`, begins with the priority for journald. Text
 * that is not JSON is returned unchanged.
 */
export function textOf(json: string, priorities: boolean): string {
  let entry: Entry;
  try {
    entry = JSON.parse(json) as Entry;
  } catch {
    return json;
  }
  const mark = priorities ? (PRIORITY[entry.level ?? 'info'] ?? '<6>') : '';
  return linesOf(entry)
    .map((line) => `${mark}${line}\n`)
    .join('');
}

function linesOf(entry: Entry): string[] {
  const { service, deployment, err, reason, hint } = entry;
  const subject = [service, service === undefined ? undefined : changeOf(entry), deployment];
  const head = subject.filter((part) => part !== undefined).join(' ');
  const what = whatOf(entry);
  const why = reason ? `: ${oneLine(reason.code)}: ${oneLine(reason.message)}` : errorOf(entry);
  const first = `${head === '' ? '' : `${head} `}${what}${why}${tookOf(entry)}${restOf(entry)}`;
  const advice = hint ?? err?.hint;
  return [
    oneLine(first),
    ...(advice === undefined ? [] : [`  → ${oneLine(advice)}`]),
    ...below(err?.detail, '  | '),
    // A stack is printed only for a bug. The code of any other error says enough.
    ...(err && (err.code === undefined || err.code === 'INTERNAL') ? below(err.stack, '    ') : []),
  ];
}

/** `1.4.1 → 1.4.2`, or as much of it as is known. */
function changeOf({ version, previous, direction, msg }: Entry): string | undefined {
  if (version === undefined || previous === undefined || previous === null) return version;
  if (direction === 'back' || msg === 'rolled-back') return `${version} → back to ${previous}`;
  return previous === version ? version : `${previous} → ${version}`;
}

function whatOf({ msg = '', note }: Entry): string {
  return note === undefined ? msg : `${msg} (previous step: ${note})`;
}

/** The message of the error, unless the log message contains it already, and the code of the error. */
function errorOf({ err, msg = '', code }: Entry): string {
  if (!err?.message) return typeof code === 'string' ? ` [${code}]` : '';
  const said = msg.includes(err.message) ? '' : `: ${err.message}`;
  return err.code === undefined ? said : `${said} [${err.code}]`;
}

/** `(+410 ms)` during a deployment, `in 4.2 s (prepare 1.2 s, start 2.0 s)` at its end. */
function tookOf({ ms, sinceMs, timings }: Entry): string {
  if (ms === undefined) return sinceMs === undefined ? '' : ` (+${formatMs(sinceMs)})`;
  const steps = STEPS.filter((step) => (timings?.[step] ?? 0) >= 1);
  const each = steps.map((step) => `${step} ${formatMs(timings?.[step] ?? 0)}`).join(', ');
  return ` in ${formatMs(ms)}${each === '' ? '' : ` (${each})`}`;
}

/** The other fields of the entry, as `key=value`. */
function restOf(entry: Entry): string {
  const parts = Object.entries(entry)
    .filter(([key, value]) => !PLACED.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  return parts.length === 0 ? '' : ` (${parts.join(' ')})`;
}

function below(text: string | undefined, indent: string): string[] {
  const lines = cleanTail(text ?? '').split('\n');
  return lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .map((line) => indent + line);
}

function oneLine(text: string): string {
  return cleanTail(text).replace(/\n+/g, ' ').trimEnd();
}
