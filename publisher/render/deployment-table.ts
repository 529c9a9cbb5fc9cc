import { STEPS } from '../../shared/report.ts';
import { formatMs } from '../../shared/retry.ts';
import { isFailing, isOver, isRollingBack, type Row, spentMs, type View } from './deployment-view.ts';
import { failureBlocks, lateLines } from './failure-text.ts';
import { forgottenText } from './forgotten-text.ts';
import { failureKey } from './group-failures.ts';
import { styleOf } from './state-style.ts';
import {
  aligned,
  bytesText,
  clockText,
  lineOf,
  oneLine,
  type Paint,
  type Span,
  type Tone,
  width,
} from './text.ts';

/** The table of a deployment as lines, cut to the window. Pure: the same view, time and size give the same lines. */

export interface Surface {
  columns: number;
  /** Height of the window in lines; with Infinity nothing is folded. */
  rows: number;
  now: number; // ms since the epoch
  paint: Paint;
}

/**
 * The order in which lines are kept when the window is too low: failed instances first, succeeded instances last. The
 * summary has the reverse order.
 */
const WEIGHT: readonly Row['state'][] = [
  ...(['broken', 'failed', 'rolled-back', 'rejected', 'silent', 'forgotten', 'superseded'] as const),
  'cancelled',
  ...(['watching', 'checking', 'starting', 'switching', 'draining', 'prepared', 'preparing'] as const),
  ...(['accepted', 'waiting', 'succeeded'] as const),
];

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
  const { service, previous, version, env, deployment, issuedBy, reason, action, skippedChecks } = started;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const parts = [`${service} ${change} in ${env}`, deployment, oneLine(issuedBy)];
  if (action === 'rollback') parts.splice(1, 0, 'rollback');
  if (skippedChecks) parts.push('checks skipped');
  if (reason) parts.push(oneLine(reason));
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const longer = `${last} · ${part}`;
    if (last !== undefined && width(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(last === undefined ? part : `  ${part}`);
  }
  return lines.map((text) => lineOf([{ text, tone: 'strong' }], columns, paint));
}

/** One line of the table: an instance or, with `others`, several instances that ended in the same way. */
interface Line {
  row: Row;
  others: readonly Row[];
}

/** The cells of a line. `firsts` has the first instance with each failure: the lines of later instances refer to it. */
function cells({ row, others }: Line, now: number, firsts: Map<string, string>): Span[] {
  const { glyph, tone } = isRollingBack(row) ? styleOf('rolled-back') : styleOf(row.state);
  const state = isRollingBack(row) ? `${row.state} (rolling back)` : row.state;
  const spent = spentMs(row, now);
  const seconds = spent > 0 ? formatMs(spent) : '';
  const steps = row.state === 'succeeded' ? stepsText(row) : '';
  const detail = isFailing(row) && isOver(row) ? [failureText(row, firsts)] : [noteText(row), seconds, steps];
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
  return reasonText(row);
}

const failureOf = ({ report, state }: Row) =>
  report?.error ? failureKey({ ...report, error: report.error }) : `${state} ${report?.note ?? ''}`;

/** `1.4.1 → 1.4.2`; reversed if the instance rolled back, one version if nothing changed. */
export function versionsText(row: Row): string {
  const { previous, version, state, report } = row;
  const before = previous ?? 'none';
  if (state === 'rolled-back' || isRollingBack(row)) return `${version} → ${before}`;
  if (state === 'succeeded' && report?.changed === false) return version;
  if (['failed', 'rejected', 'superseded', 'cancelled'].includes(state)) return before;
  return previous === undefined || previous === version ? version : `${before} → ${version}`;
}

function noteText({ report, state, forgotten }: Row): string {
  if (state === 'forgotten' && forgotten) return forgottenText(forgotten);
  const warning = report?.warning ? `warning: ${oneLine(report.warning)}` : '';
  if (state === 'succeeded' && report?.changed === false) {
    return ['already running', warning].filter(Boolean).join('; ');
  }
  return state === 'succeeded' ? warning : oneLine(report?.note ?? '');
}

function reasonText({ report, state }: Row): string {
  if (state === 'silent') return 'never answered';
  const error = report?.error;
  return error ? `${oneLine(error.code)}: ${oneLine(error.message)}` : oneLine(report?.note ?? '');
}

/** `prepare 1.1 s · start 500 ms`; steps under 50 ms are left out. */
function stepsText({ report }: Row): string {
  return STEPS.filter((step) => (report?.timings[step] ?? 0) >= 50)
    .map((step) => `${step} ${formatMs(report?.timings[step] ?? 0)}`)
    .join(' · ');
}

/**
 * Selects the most important lines that fit, and keeps their order. One line is left for the count of the others. If
 * the failing instances alone do not fit, instances with the same failure share a line, so that more failures are
 * shown.
 */
function fold(rows: readonly Row[], room: number): { shown: Line[]; folded: Row[] } {
  const single = rows.map((row): Line => ({ row, others: [] }));
  if (rows.length <= room) return { shown: single, folded: [] };
  const lines = rows.filter(isFailing).length < room ? single : sharedLines(rows);
  if (lines.length <= room) return { shown: lines, folded: [] };
  const weighed = lines.toSorted((a, b) => weight(a.row) - weight(b.row));
  const kept = new Set(weighed.slice(0, Math.max(0, room - 1)));
  return {
    shown: lines.filter((line) => kept.has(line)),
    folded: lines.filter((line) => !kept.has(line)).flatMap(({ row, others }) => [row, ...others]),
  };
}

function sharedLines(rows: readonly Row[]): Line[] {
  const groups = Map.groupBy(rows, (row) =>
    isFailing(row) && isOver(row) ? `${row.state} ${failureOf(row)}` : row.instance,
  );
  return [...groups.values()].flatMap(([row, ...others]) => (row ? [{ row, others }] : []));
}

const weight = (row: Row) => (isRollingBack(row) ? 0 : WEIGHT.indexOf(row.state));

function countsText(rows: readonly Row[]): string {
  const counts = Map.groupBy(rows, (row) => row.state);
  // The good states come first: `1 succeeded · 1 checking · 1 rolled-back`.
  return WEIGHT.toReversed()
    .filter((state) => counts.has(state))
    .map((state) => `${counts.get(state)?.length} ${state}`)
    .join(' · ');
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
