import { formatMs } from '../../shared/duration.ts';
import { STEPS } from '../../shared/states.ts';
import { isFailing, isOver, isRollingBack, type Row } from './deployment-view.ts';
import { forgottenText } from './forgotten-text.ts';
import { failureKey } from './group-failures.ts';
import type { Tone } from './text.ts';

/**
 * The words, glyphs and order of the states of instances, the same in the terminal and on the console's page. Pure, without Node:
 * the page runs it in a browser. Texts of reports are returned as they came: who shows them makes them safe.
 */

const STYLES: Record<Row['state'], { glyph: string; tone: Tone }> = {
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
  forgotten: { glyph: '–', tone: 'warn' },
};

/** The glyph and the colour of a state, the same in every answer. */
export const styleOf = (state: Row['state']) => STYLES[state];

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

/** `1.4.1 → 1.4.2`; reversed if the instance rolled back, one version if nothing changed. */
export function versionsText(row: Row): string {
  const { previous, version, state, report } = row;
  const before = previous ?? 'none';
  if (state === 'rolled-back' || isRollingBack(row)) return `${version} → ${before}`;
  if (state === 'succeeded' && report?.changed === false) return version;
  if (['failed', 'rejected', 'superseded', 'cancelled'].includes(state)) return before;
  return previous === undefined || previous === version ? version : `${before} → ${version}`;
}

/** Equal for instances that failed in the same way. */
export const failureOf = ({ report, state }: Row) =>
  report?.error ? failureKey({ ...report, error: report.error }) : `${state} ${report?.note ?? ''}`;

/** What is said of an instance that did not fail. */
export function noteText({ report, state, forgotten }: Row): string {
  if (state === 'forgotten' && forgotten) return forgottenText(forgotten);
  const warning = report?.warning ? `warning: ${report.warning}` : '';
  if (state === 'succeeded' && report?.changed === false) {
    return ['already running', warning].filter(Boolean).join('; ');
  }
  return state === 'succeeded' ? warning : (report?.note ?? '');
}

/** Why an instance failed. */
export function reasonText({ report, state }: Row): string {
  if (state === 'silent') return 'never answered';
  const error = report?.error;
  return error ? `${error.code}: ${error.message}` : (report?.note ?? '');
}

/** `prepare 1.1 s · start 500 ms`; steps under 50 ms are left out. */
export function stepsText({ report }: Row): string {
  return STEPS.filter((step) => (report?.timings[step] ?? 0) >= 50)
    .map((step) => `${step} ${formatMs(report?.timings[step] ?? 0)}`)
    .join(' · ');
}

/** One line of the table: an instance or, with `others`, several instances that ended in the same way. */
export interface Line {
  row: Row;
  others: readonly Row[];
}

/**
 * Selects the most important lines that fit, and keeps their order. One line is left for the count of the others. If
 * the failing instances alone do not fit, instances with the same failure share a line, so that more failures are
 * shown.
 */
export function fold(rows: readonly Row[], room: number): { shown: Line[]; folded: Row[] } {
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

/** `1 succeeded · 1 checking · 1 rolled-back`: the good states come first. */
export function countsText(rows: readonly Row[]): string {
  const counts = Map.groupBy(rows, (row) => row.state);
  return WEIGHT.toReversed()
    .filter((state) => counts.has(state))
    .map((state) => `${counts.get(state)?.length} ${state}`)
    .join(' · ');
}
