import type { DoctorAnswer, DoctorFinding } from '../commands/doctor.ts';
import type { Page } from './page.ts';
import { oneLine, type Tone } from './text.ts';

/** What `doctor` found, one line for each finding, and a line that says what to do. Pure. */

const GLYPHS: Record<DoctorFinding['state'], { glyph: string; tone: Tone }> = {
  ok: { glyph: '✓', tone: 'good' },
  repaired: { glyph: '✓', tone: 'warn' },
  unknown: { glyph: '?', tone: 'dim' },
  wrong: { glyph: '✗', tone: 'bad' },
};

export function doctorTable({ service, env, findings }: DoctorAnswer, page: Page): string[] {
  return [
    page.paint('strong', `${service} in ${env}`),
    '',
    ...findings.flatMap(({ state, what, hint }) => {
      const { glyph, tone } = GLYPHS[state];
      const said = `  ${page.paint(tone, glyph)} ${state === 'repaired' ? 'repaired: ' : ''}${oneLine(what)}`;
      return hint === undefined ? [said] : [said, page.paint('dim', `    → ${oneLine(hint)}`)];
    }),
  ];
}

/** `payments wrong: the lock of payments …; → trigger-deploy doctor …`. */
export function doctorLines({ service, findings }: DoctorAnswer): string[] {
  return findings.map(({ state, what, hint }) => {
    const todo = hint === undefined ? '' : `; → ${oneLine(hint)}`;
    return `${service} ${state}: ${oneLine(what)}${todo}`;
  });
}
