import { formatMs } from '../../shared/duration.ts';
import type { Finding } from '../cleanup/finding.ts';
import type { GcAnswer } from '../commands/gc.ts';
import type { Page } from './page.ts';
import { aligned, bytesText, oneLine, type Tone } from './text.ts';

/** What `gc` found, deleted and kept: a line for each thing, and the totals. Pure. */

const STATES: Record<Finding['state'], { glyph: string; tone: Tone }> = {
  found: { glyph: '•', tone: 'warn' },
  deleted: { glyph: '✓', tone: 'good' },
  kept: { glyph: '–', tone: 'dim' },
  failed: { glyph: '✗', tone: 'bad' },
};
const DAY_MS = 86_400_000;

export function gcTable(answer: GcAnswer, page: Page): string[] {
  const rows = answer.findings.map((one) => {
    const { glyph, tone } = STATES[one.state];
    return [
      { text: `${glyph} ${one.state}`, tone },
      { text: one.kind, tone: 'dim' as const },
      { text: oneLine(one.name) },
      { text: sizeText(one) },
      { text: ageText(one.ageMs), tone: 'dim' as const },
      { text: oneLine(one.why) },
    ];
  });
  const problems = answer.problems.flatMap(({ kind, what, hint }) => [
    page.paint('bad', `  ✗ ${kind}: ${oneLine(what)}`),
    ...(hint === undefined ? [] : [page.paint('dim', `    → ${oneLine(hint)}`)]),
  ]);
  return [...aligned(rows, page), ...problems, '', ...totals(answer)];
}

export function gcLines(answer: GcAnswer): string[] {
  const lines = answer.findings.map((one) =>
    [one.state, one.kind, oneLine(one.name), sizeText(one), ageText(one.ageMs), `(${oneLine(one.why)})`]
      .filter(Boolean)
      .join(' '),
  );
  const problems = answer.problems.map(({ kind, what }) => `problem ${kind}: ${oneLine(what)}`);
  return [...lines, ...problems, ...totals(answer)];
}

/** The totals of what was found or deleted, as an object for JSON. */
export function gcTotals({ findings }: GcAnswer) {
  const of = (state: Finding['state']) => findings.filter((one) => one.state === state);
  const sum = (all: readonly Finding[]) => all.reduce((total, { bytes = 0 }) => total + bytes, 0);
  return {
    ...{ found: of('found').length, deleted: of('deleted').length, kept: of('kept').length },
    ...{ failed: of('failed').length, bytes: sum([...of('found'), ...of('deleted')]) },
  };
}

function totals(answer: GcAnswer): string[] {
  const { found, deleted, kept, failed, bytes } = gcTotals(answer);
  const size = bytes > 0 ? `, ${bytesText(bytes)}` : '';
  const others = `${kept} kept${failed > 0 ? `, ${failed} failed` : ''}`;
  return answer.deletes
    ? [`${deleted} deleted${size}; ${others}`]
    : [`${found} to delete${size}; ${others}. Nothing was deleted: --yes deletes`];
}

function sizeText({ bytes, objects }: Finding): string {
  return [objects === undefined ? '' : `${objects} objects`, bytes ? bytesText(bytes) : '']
    .filter(Boolean)
    .join(', ');
}

function ageText(ageMs: number | undefined): string {
  if (ageMs === undefined || ageMs < 0) return '';
  return ageMs < DAY_MS ? formatMs(ageMs) : `${Math.floor(ageMs / DAY_MS)} d`;
}
