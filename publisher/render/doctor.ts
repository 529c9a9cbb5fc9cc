import type { DoctorAnswer } from '../commands/doctor.ts';
import type { DoctorFinding } from '../doctor/finding.ts';
import type { Page } from './page.ts';
import { oneLine, type Tone } from './text.ts';

/** What `doctor` found, one line for each finding, and a line that says what to do. Pure. */

const GLYPHS: Record<DoctorFinding['state'], { glyph: string; tone: Tone }> = {
  ok: { glyph: '✓', tone: 'good' },
  repaired: { glyph: '✓', tone: 'warn' },
  unknown: { glyph: '?', tone: 'dim' },
  wrong: { glyph: '✗', tone: 'bad' },
};

const NOTICE: (typeof GLYPHS)['ok'] = { glyph: '!', tone: 'warn' };

export function doctorTable({ service, env, findings }: DoctorAnswer, page: Page): string[] {
  const about = new Set(findings.map((one) => one.service));
  const parts = [...about].flatMap((one) => [
    '',
    page.paint('strong', one === undefined ? `the environment ${env}` : `${one} in ${env}`),
    ...findings.filter((finding) => finding.service === one).flatMap((finding) => linesOf(finding, page)),
  ]);
  const none = about.size > 1 || service !== undefined ? [] : ['', 'there is no service yet'];
  return [...parts.slice(1), ...none, '', summaryOf(findings)];
}

function linesOf({ state, what, hint }: DoctorFinding, page: Page): string[] {
  // Nothing is broken, but somebody should look.
  const { glyph, tone } = state === 'ok' && hint !== undefined ? NOTICE : GLYPHS[state];
  const said = `  ${page.paint(tone, glyph)} ${state === 'repaired' ? 'repaired: ' : ''}${oneLine(what)}`;
  return hint === undefined ? [said] : [said, page.paint('dim', `    → ${oneLine(hint)}`)];
}

/** `2 wrong, 1 unknown, 14 ok`. */
function summaryOf(findings: readonly DoctorFinding[]): string {
  const order = ['wrong', 'unknown', 'repaired', 'ok'] as const;
  return order
    .map((state) => ({ state, count: findings.filter((one) => one.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(', ');
}

/** `payments wrong lock: the lock of payments …; → trigger-deploy doctor …`; of the environment, `dev wrong topic: …`. */
export function doctorLines({ env, findings }: DoctorAnswer): string[] {
  return findings.map(({ id, state, service, what, hint }) => {
    const todo = hint === undefined ? '' : `; → ${oneLine(hint)}`;
    return `${service ?? env} ${state} ${id}: ${oneLine(what)}${todo}`;
  });
}
