import { expect, it } from 'vitest';
import { since } from '../../../../publisher/cli/option-kinds.ts';

const DAY_MS = 86_400_000;

it.each([
  ['12h', { ago: DAY_MS / 2 }],
  ['7d', { ago: 7 * DAY_MS }],
  ['1w', { ago: 7 * DAY_MS }],
  ['2026-11-01', { at: Date.UTC(2026, 10, 1) }],
  ['2026-11-01T08:30', { at: Date.UTC(2026, 10, 1, 8, 30) }],
  ['2026-11-01T08:30:15Z', { at: Date.UTC(2026, 10, 1, 8, 30, 15) }],
  ['2026-11-01T08:30:00+01:00', { at: Date.UTC(2026, 10, 1, 7, 30) }],
])('--since %s is understood', (typed, value) => {
  expect(since.parse(typed)).toEqual(value);
});

it.each(['monday', '0d', '2026-02-30', '2026-13-01', '2026-11-01T25:00', '11/01/2026', '2026', '7y'])(
  '--since %s is refused',
  (typed) => {
    expect(since.safeParse(typed).error?.issues[0]?.message).toMatch(/^expected a duration such as 7d, 1w/);
  },
);
