import { cleanLine, cleanTail } from '../../shared/clean-text.ts';

/** Text for a terminal: made safe, measured, cut and coloured. Pure. */

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'dim' | 'strong';

/** A piece of a line; without colours its tone has no effect. */
export interface Span {
  text: string;
  tone?: Tone | undefined;
}

/** Colours a text, or returns it unchanged. */
export type Paint = (tone: Tone | undefined, text: string) => string;

const SGR: Record<Tone, string> = {
  good: '32',
  bad: '31',
  warn: '33',
  busy: '36',
  dim: '2',
  strong: '1',
};
export const coloured: Paint = (tone, text) =>
  tone === undefined || text === '' ? text : `\u001b[${SGR[tone]}m${text}\u001b[0m`;
export const plain: Paint = (_tone, text) => text;

/**
 * `text` on one line, safe to print. Reports are cleaned when they are read. Errors of AWS, file names, reasons and the
 * command line are not, so every text that comes from outside passes here before it is printed.
 */
export const oneLine = cleanLine;

/** The lines of a log tail, safe to print, without empty lines at its start and end. */
export function tailLines(text: string): string[] {
  const lines = cleanTail(text).replaceAll('\t', '    ').split('\n');
  const trimmed = lines.map((line) => line.trimEnd());
  const first = trimmed.findIndex((line) => line !== '');
  const last = trimmed.findLastIndex((line) => line !== '');
  return first === -1 ? [] : trimmed.slice(first, last + 1);
}

/** Characters that a terminal shows two columns wide: East Asian Wide, emoji. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const COMBINING = /^[\p{Mn}\p{Me}\p{Cf}]/u;

const characterWidth = (character: string) => (COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

/** How many columns `text` has on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of text) columns += characterWidth(character);
  return columns;
}

/** `text` in at most `columns` columns. If it is cut, it ends with an ellipsis. */
function shorten(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 1;
  for (const character of text) {
    used += characterWidth(character);
    if (used > columns) break;
    kept += character;
  }
  return columns < 1 ? '' : `${kept}…`;
}

/** The spans side by side, cut at `columns`, without trailing blanks. */
export function lineOf(spans: readonly Span[], columns: number, paint: Paint): string {
  const lastShown = spans.findLastIndex((span) => span.text.trim() !== '');
  let left = columns;
  let line = '';
  for (const [i, span] of spans.slice(0, lastShown + 1).entries()) {
    const text = shorten(i === lastShown ? span.text.trimEnd() : span.text, left);
    line += paint(span.tone, text);
    left -= width(text);
    if (left <= 0 || width(text) < width(span.text.trimEnd())) break;
  }
  return line;
}

/** Rows of cells as lines: the columns are aligned, with two blanks between them and `indent` before the first. */
export function aligned(
  rows: readonly (readonly Span[])[],
  { columns, paint, indent = 2 }: { columns: number; paint: Paint; indent?: number },
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell.text));
  }
  return rows.map((row) => {
    const spans: Span[] = [{ text: ' '.repeat(indent) }];
    for (const [i, cell] of row.entries()) {
      if (widths[i] === 0) continue;
      spans.push({ text: cell.text, tone: cell.tone });
      spans.push({ text: ' '.repeat((widths[i] ?? 0) - width(cell.text) + 2) });
    }
    return lineOf(spans, columns, paint);
  });
}

/** `23.1 MB`, in decimal units. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1000;
    unit += 1;
  } while (value >= 999.95 && unit < units.length - 1);
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** `2026-11-21 08:14:02` in local time. */
export function localTime(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())} ${timeOfDay(at).slice(0, 8)}`;
}

/** `08:14:02.113` in local time. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const hms = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
  return `${hms}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

const twoDigits = (value: number) => String(value).padStart(2, '0');
