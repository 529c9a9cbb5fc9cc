import { clockText, formatMs } from '../../shared/duration.ts';
import { isFailing, isOver, isRollingBack, type Row, spentMs, type View } from './deployment-view.ts';
import { failureBlocks, lateLines } from './failure-text.ts';
import { aligned, bytesText, lineOf, oneLine, type Paint, type Span, type Tone, width } from './text.ts';
import {
  countsText,
  failureOf,
  fold,
  type Line,
  noteText,
  reasonText,
  stepsText,
  styleOf,
  versionsText,
} from './words.ts';

/** The table of a deployment as lines, cut to the window. Pure: the same view, time and size give the same lines. */

export interface Surface {
  columns: number;
  /** Height of the window in lines; with Infinity nothing is folded. */
  rows: number;
  now: number; // ms since the epoch
  paint: Paint;
}

/** Lines of a log tail that the table shows; `trigger-deploy show` has all. */
const TAIL = 20;
/** The column where the clock ends, if the window is that wide. */
const CLOCK_COLUMN = 76;

export function tableLines(view: View, surface: Surface): string[] {
  if (!view.started) return [...view.uploads.values()].map((one) => uploadLine(one, surface));
  const header = headerLines(view, surface);
  // The 4 lines are two blank lines, the summary, and the line of the cursor.
  const room = Math.max(1, surface.rows - header.length - 4);
  const rows = [...view.rows.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  const { shown, folded } = fold(rows, room);
  const firsts = new Map<string, string>();
  const lines = aligned(
    shown.map((line) => cells(line, surface.now, firsts)),
    surface,
  );
  if (folded.length > 0) {
    const text = `  … ${folded.length} more: ${countsText(folded)}`;
    lines.push(lineOf([{ text, tone: 'dim' }], surface.columns, surface.paint));
  }
  return [...header, '', ...lines, ...(lines.length > 0 ? [''] : []), summary(view, rows, surface)];
}

/** The lines below the table of a settled deployment: each failure once, with the end of a log, and the outcome. */
export function outcomeLines(view: View, { columns, paint }: Surface): string[] {
  const reports = [...view.rows.values()].filter(isFailing).flatMap(({ report }) => report ?? []);
  const lines = failureBlocks(reports, { columns, paint }, TAIL);
  const { settled } = view;
  if (!settled) return lines;
  const tone: Tone = settled.outcome === 'succeeded' ? 'good' : 'bad';
  const took = settled.tookMs > 0 ? ` (${formatMs(settled.tookMs)})` : '';
  return [
    ...lines,
    ...lateLines(settled),
    '',
    `${paint(tone, settled.outcome)}: ${oneLine(settled.text)}${took}`,
  ];
}

/** The header, on several lines if it is too long. The id is not split: a person copies it for `watch` and `show`. */
function headerLines({ started }: View, { columns, paint }: Surface): string[] {
  if (!started) return [];
  const { service, previous, version, env, deployment, issuedBy, reason, action, skippedChecks, url } =
    started;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const parts = [`${service} ${change} in ${env}`, deployment, oneLine(issuedBy)];
  if (action === 'rollback') parts.splice(1, 0, 'rollback');
  if (skippedChecks) parts.push('checks skipped');
  if (reason) parts.push(oneLine(reason));
  if (url !== undefined) parts.push(oneLine(url));
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const longer = `${last} · ${part}`;
    if (last !== undefined && width(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(last === undefined ? part : `  ${part}`);
  }
  return lines.map((text) => lineOf([{ text, tone: 'strong' }], columns, paint));
}

/** The cells of a line. `firsts` has the first instance with each failure: the lines of later instances refer to it. */
function cells({ row, others }: Line, now: number, firsts: Map<string, string>): Span[] {
  const { glyph, tone } = isRollingBack(row) ? styleOf('rolled-back') : styleOf(row.state);
  const state = isRollingBack(row) ? `${row.state} (rolling back)` : row.state;
  const spent = spentMs(row, now);
  const seconds = spent > 0 ? formatMs(spent) : '';
  const steps = row.state === 'succeeded' ? stepsText(row) : '';
  const detail =
    isFailing(row) && isOver(row) ? [failureText(row, firsts)] : [oneLine(noteText(row)), seconds, steps];
  return [
    { text: others.length > 0 ? `${row.instance} and ${others.length} more` : row.instance },
    { text: others.length > 0 ? '' : oneLine(row.zone ?? ''), tone: 'dim' },
    { text: `${glyph} ${state}`, tone },
    { text: versionsText(row) },
    { text: detail.some(Boolean) ? ` ${detail.filter(Boolean).join('   ')}` : '' },
  ];
}

/** The reason in full, or `CHECK_FAILED, same as i-1` if an earlier line has the same failure. */
function failureText(row: Row, firsts: Map<string, string>): string {
  const key = failureOf(row);
  const first = firsts.get(key);
  if (first !== undefined && row.report?.error) return `${oneLine(row.report.error.code)}, same as ${first}`;
  firsts.set(key, row.instance);
  return oneLine(reasonText(row));
}

function summary(view: View, rows: readonly Row[], { columns, now, paint }: Surface): string {
  const counts = `  ${rows.length === 0 ? 'no instance has answered yet' : countsText(rows)}`;
  const { started, settled } = view;
  // If no instance has ended, tookMs is 0: show how long the command waited.
  const elapsed = settled?.tookMs || (settled?.at ?? now) - (started?.at ?? now);
  const clock = clockText(elapsed);
  const gap = Math.min(CLOCK_COLUMN, columns) - width(counts) - width(clock);
  return lineOf([{ text: counts }, { text: ' '.repeat(Math.max(2, gap)) + clock }], columns, paint);
}

const BAR = 24;

function uploadLine(
  { what, done, total }: { what: string; done: number; total: number },
  { columns, paint }: Surface,
): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.floor(share * BAR);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const spans: Span[] = [
    { text: `  ${oneLine(what)}  ` },
    { text: '█'.repeat(full), tone: share === 1 ? 'good' : 'busy' },
    { text: '░'.repeat(BAR - full), tone: 'dim' },
    { text: `  ${percent}  ${bytesText(done)} of ${bytesText(total)}` },
  ];
  return lineOf(spans, columns, paint);
}
