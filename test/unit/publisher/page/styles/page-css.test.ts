import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { styleOf } from '../../../../../publisher/render/words.ts';
import { ENDINGS, PROGRESS_STATES } from '../../../../../shared/states.ts';
import { contrast, distance, SIGHTS } from '../../../../support/console/colours.ts';

const css = readFileSync(new URL('../../../../../publisher/page/styles/page.css', import.meta.url), 'utf8');

/** The colours of `light-dark(#…, #…)`, by name. */
const colours = Object.fromEntries(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(
    ([, name = '', light = '', dark = '']) => [name, { light, dark }],
  ),
);
const TONES = ['good', 'bad', 'warn', 'busy'];
const colour = (name: string, mode: 'light' | 'dark') => {
  const found = colours[name]?.[mode];
  if (found === undefined) throw new Error(`page.css has no --${name}`);
  return found;
};

const MODES = ['light', 'dark'] as const;

test.each(
  MODES.flatMap((mode) => Object.entries(SIGHTS).map(([name, sight]) => [mode, name, sight] as const)),
)('%s: the four tones are 0.12 apart at least for %s sight', (mode, _, sight) => {
  const pairs = TONES.flatMap((a, i) => TONES.slice(i + 1).map((b) => [a, b] as const));
  for (const [a, b] of pairs) {
    expect(distance(colour(a, mode), colour(b, mode), sight), `${a} and ${b}`).toBeGreaterThanOrEqual(0.12);
  }
});

test.each(MODES)('%s: every text has a contrast of 4.5 at least on both backgrounds', (mode) => {
  for (const text of [...TONES, 'text', 'dim', 'link']) {
    for (const back of ['back', 'raised']) {
      const ratio = contrast(colour(text, mode), colour(back, mode));
      expect(ratio, `${text} on ${back}`).toBeGreaterThanOrEqual(4.5);
    }
  }
  expect(contrast(colour('on-bad', mode), colour('bad', mode))).toBeGreaterThanOrEqual(4.5);
  expect(contrast(colour('back', mode), colour('text', mode))).toBeGreaterThanOrEqual(4.5);
  expect(contrast(colour('back', mode), colour('link', mode))).toBeGreaterThanOrEqual(4.5);
});

test.each(MODES)('%s: the edge of a button or field has a contrast of 3 at least', (mode) => {
  expect(contrast(colour('edge', mode), colour('back', mode))).toBeGreaterThanOrEqual(3);
});

test('each state has a glyph, and no two tones share one', () => {
  const tones = new Map<string, Set<string>>();
  for (const state of [...PROGRESS_STATES, ...ENDINGS, 'waiting', 'silent', 'forgotten'] as const) {
    const { glyph, tone } = styleOf(state);
    expect(glyph).not.toBe('');
    const known = tones.get(glyph) ?? new Set();
    tones.set(glyph, known.add(tone));
  }
  for (const [glyph, of] of tones) if (glyph !== '–') expect(of.size, glyph).toBe(1);
});
