import { expect, test } from 'vitest';
import { familyOf, matcherOf } from '../../../../../agent/host/logs/family.ts';

test.each([
  ['app.log', 'app.log.1'],
  ['app.log', 'app.log.12.gz'],
  ['app.log', 'app-20261128.log'],
  ['app.log', 'app.log-20261128-1400.gz'],
  ['app.log', 'app.2026-11-28.0.log'],
  ['app.log', 'app.2026-11-28T10:00:00.000Z.log'],
  ['app.log', 'app.1.log'],
  ['app.log', 'app.log.old'],
  ['app.log', 'app.log~'],
  ['gc.log.0', 'gc.log.1'],
  ['2026-11-28.log', '2026-11-29.log'],
])('%s and %s are of one family', (a, b) => {
  expect(familyOf(a)).toBe(familyOf(b));
});

test.each([
  ['app.log', 'access.log'],
  ['app.log', 'app-worker.log'],
  ['app2.log', 'app3.log'],
  ['log4j.log', 'log.log'],
])('%s and %s are not', (a, b) => {
  expect(familyOf(a)).not.toBe(familyOf(b));
});

test.each([
  ['*.log*', 'app.log', true],
  ['*.log*', 'app.log.1.gz', true],
  ['*.log*', '.app.log.swp', false],
  ['.*', '.app', true],
  ['app.log', 'appxlog', false],
  ['app?.log', 'app1.log', true],
  ['app?.log', 'app.log', false],
  ['a+(b)', 'a+(b)', true],
  ['*', 'a\nb', true],
])('the pattern %s and the name %j: %s', (pattern, name, matches) => {
  expect(matcherOf(pattern)(name)).toBe(matches);
});
