import { STEPS } from '../../shared/report.ts';
import { formatMs } from '../../shared/retry.ts';
import { isFailing, isGoingBack, isOver, type Row, spentMs, type View } from './deployment-view.ts';
import {
  aligned,
  bytesText,
  clockText,
  lineOf,
  oneLine,
  type Paint,
  type Span,
  type Tone,
  tailLines,
  width,
} from './text.ts';

/** The table as lines, cut to the window. Pure: the same view, time and size give the same lines. */

export interface Surface {
  columns: number;
  /** Lines there are; Infinity where nothing has to be folded. */
  rows: number;
  now: number; // ms since the epoch
  paint: Paint;
}

const LOOKS: Record<Row['state'], { glyph: string; tone: Tone }> = {
  waiting: { glyph: '○', tone: 'dim' },
  accepted: { glyph: '●', tone: 'busy' },
  preparing: { glyph: '●', tone: 'busy' },
  prepared: { glyph: '●', tone: 'busy' },
  draining: { glyph: '●', tone: 'busy' },
  switching: { glyph: '●', tone: 'busy' },
  starting: { glyph: '●', tone: 'busy' },
  checking: { glyph: '●', tone: 'busy' },
  watching: { glyph: '●', tone: 'busy' },
  succeeded: { glyph: '✓', tone: 'good' },
  'rolled-back': { glyph: '↺', tone: 'warn' },
  failed: { glyph: '✗', tone: 'bad' },
  broken: { glyph: '✗', tone: 'bad' },
  rejected: { glyph: '✗', tone: 'bad' },
  superseded: { glyph: '–', tone: 'dim' },
  cancelled: { glyph: '–', tone: 'dim' },
  silent: { glyph: '?', tone: 'bad' },
};
export const lookOf = (state: Row['state']) => LOOKS[state];

/** The order of the summary, and of what stays in sight: the failing first, the finished last. */
const WEIGHT: readonly Row['state'][] = [
  ...(['broken', 'failed', 'rolled-back', 'rejected', 'silent', 'superseded', 'cancelled'] as const),
  ...(['watching', 'checking', 'starting', 'switching', 'draining', 'prepared', 'preparing'] as const),
  ...(['accepted', 'waiting', 'succeeded'] as const),
];

/** Lines of a log tail that the table shows; `show` has them all. */
const TAIL = 20;
/** Where the clock stands when the window is wide. */
const CLOCK_COLUMN = 76;

export function frame(view: View, surface: Surface): string[] {
  if (!view.started) return [...view.uploads.values()].map((one) => uploadLine(one, surface));
  const header = headerLines(view, surface);
  // Two blank lines, the summary, and the line the cursor stands on.
  const room = Math.max(1, surface.rows - header.length - 4);
  const rows = [...view.rows.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  const { shown, folded } = fold(rows, room);
  const lines = aligned(
    shown.map((row) => cells(row, surface.now)),
    surface,
  );
  if (folded.length > 0) {
    const text = `  … ${folded.length} more: ${countsText(folded)}`;
    lines.push(lineOf([{ text, tone: 'dim' }], surface.columns, surface.paint));
  }
  return [...header, '', ...lines, ...(lines.length > 0 ? [''] : []), summary(view, rows, surface)];
}

/** What is said once a deployment is settled: each reason in full, with the end of the service's log. */
export function epilogue(view: View, { columns, paint }: Surface): string[] {
  const failing = [...view.rows.values()].filter((row) => isFailing(row) && row.report?.error);
  const lines = failing.flatMap((row) => {
    const tail = tailLines(row.report?.error?.detail ?? '');
    const hidden = tail.length - TAIL;
    const more =
      hidden > 0 ? [`… ${hidden} lines before: trigger-deploy show ${row.report?.deployment}`] : [];
    return [
      '',
      paint(lookOf(row.state).tone, `  ${row.instance} ${row.state}: ${reasonText(row)}`),
      ...[...more, ...tail.slice(-TAIL)].map((text) => lineOf([{ text: `    | ${text}` }], columns, paint)),
    ];
  });
  const { settled } = view;
  if (!settled) return lines;
  const tone: Tone = settled.outcome === 'succeeded' ? 'good' : 'bad';
  const took = settled.tookMs > 0 ? ` (${formatMs(settled.tookMs)})` : '';
  return [...lines, '', `${paint(tone, settled.outcome)}: ${oneLine(settled.text)}${took}`];
}

/** One line, or several broken between the parts: the id must stay whole, for `watch` and `show`. */
function headerLines({ started }: View, { columns, paint }: Surface): string[] {
  if (!started) return [];
  const { service, previous, version, env, deployment, issuedBy, reason, action } = started;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const parts = [`${service} ${change} in ${env}`, deployment, oneLine(issuedBy)];
  if (action === 'rollback') parts.splice(1, 0, 'rollback');
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

function cells(row: Row, now: number): Span[] {
  const { glyph, tone } = isGoingBack(row) ? lookOf('rolled-back') : lookOf(row.state);
  const state = isGoingBack(row) ? `${row.state} (back)` : row.state;
  const spent = spentMs(row, now);
  const seconds = spent > 0 ? formatMs(spent) : '';
  const steps = row.state === 'succeeded' ? stepsText(row) : '';
  const detail = isFailing(row) && isOver(row) ? [reasonText(row)] : [noteText(row), seconds, steps];
  return [
    { text: row.instance },
    { text: oneLine(row.zone ?? ''), tone: 'dim' },
    { text: `${glyph} ${state}`, tone },
    { text: versionsText(row) },
    { text: detail.some(Boolean) ? ` ${detail.filter(Boolean).join('   ')}` : '' },
  ];
}

/** What ran before and what runs after: backwards where it went back, one version where nothing changed. */
export function versionsText(row: Row): string {
  const { previous, version, state, report } = row;
  const before = previous ?? 'none';
  if (state === 'rolled-back' || isGoingBack(row)) return `${version} → ${before}`;
  if (state === 'succeeded' && report?.changed === false) return version;
  if (['failed', 'rejected', 'superseded', 'cancelled'].includes(state)) return before;
  return previous === undefined || previous === version ? version : `${before} → ${version}`;
}

function noteText({ report, state }: Row): string {
  if (state === 'succeeded' && report?.changed === false) return 'ran already';
  return state === 'succeeded' ? '' : oneLine(report?.note ?? '');
}

export function reasonText({ report, state }: Row): string {
  if (state === 'silent') return 'never answered';
  const error = report?.error;
  return error ? `${oneLine(error.code)}: ${oneLine(error.message)}` : oneLine(report?.note ?? '');
}

/** `prepare 1.1 s · start 0.5 s`: where the time went; what took no time to speak of is left out. */
function stepsText({ report }: Row): string {
  return STEPS.filter((step) => (report?.timings[step] ?? 0) >= 50)
    .map((step) => `${step} ${formatMs(report?.timings[step] ?? 0)}`)
    .join(' · ');
}

/** As many rows as there is room for, those that matter most, in their order; one line less for the fold. */
function fold(rows: readonly Row[], room: number): { shown: Row[]; folded: Row[] } {
  if (rows.length <= room) return { shown: [...rows], folded: [] };
  const weighed = rows.toSorted((a, b) => weight(a) - weight(b));
  const kept = new Set(weighed.slice(0, Math.max(0, room - 1)));
  return { shown: rows.filter((row) => kept.has(row)), folded: rows.filter((row) => !kept.has(row)) };
}

const weight = (row: Row) => (isGoingBack(row) ? 0 : WEIGHT.indexOf(row.state));

function countsText(rows: readonly Row[]): string {
  const counts = Map.groupBy(rows, (row) => row.state);
  // Good news first: `1 succeeded · 1 checking · 1 rolled-back`.
  return WEIGHT.toReversed()
    .filter((state) => counts.has(state))
    .map((state) => `${counts.get(state)?.length} ${state}`)
    .join(' · ');
}

function summary(view: View, rows: readonly Row[], { columns, now, paint }: Surface): string {
  const counts = `  ${rows.length === 0 ? 'nobody has answered yet' : countsText(rows)}`;
  const { started, settled } = view;
  // A deployment that nobody answered took no time of its own; what was waited is shown.
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
