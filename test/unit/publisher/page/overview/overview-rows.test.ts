import { expect, test } from 'vitest';
import type { Cell } from '../../../../../publisher/console/api.ts';
import { factsOf, needsAttention, shortName } from '../../../../../publisher/page/overview/cell-facts.ts';
import { filtered, rowsOf } from '../../../../../publisher/page/overview/overview-rows.ts';
import { cell, cells, config, underWay } from '../../../../support/console/canned-overview.ts';

const names = (of: readonly Cell[], viewer = config) => rowsOf(of, viewer).map(({ service }) => service);
const texts = (one: Cell) => factsOf(one).map(({ glyph, text }) => `${glyph} ${text}`);

test('what waits for the person comes first, then what is under way, what needs attention, the rest', () => {
  expect(names(cells)).toEqual(['payments', 'web', 'edge-proxy', 'batch', 'ledger', 'search']);
  const ranks = rowsOf([...cells, cell('dev', 'aaa', '1', 1)], config).map(({ rank }) => rank);
  expect(ranks).toEqual(['waits', 'waits', 'under-way', 'attention', 'attention', 'attention', 'rest']);
});

test('a gate waits for nobody who may not confirm it', () => {
  const rankOf = (viewer: typeof config) =>
    rowsOf(cells, viewer).find((row) => row.service === 'payments')?.rank;
  expect(rankOf({ ...config, grants: [{ may: ['look'] }] })).toBe('under-way');
  expect(rankOf({ ...config, readOnly: true })).toBe('under-way');
  expect(rankOf({ ...config, grants: [{ env: ['dev'], may: ['confirm'] }] })).toBe('under-way');
  const [dev, stg, prd] = config.environments;
  if (!dev || !stg || !prd) throw new Error('no environments');
  const other = { ...config, environments: [dev, stg, { ...prd, confirm: 'other' as const }] };
  expect(rankOf(other)).toBe('waits');
  expect(rankOf({ ...other, person: { name: underWay.by, isVerified: true } })).toBe('under-way');
});

test('a row has a cell for each environment of the config, in its order', () => {
  const [row] = rowsOf([cell('prd', 'a', '1', 1)], config);
  expect(row?.cells.map((one) => one?.env)).toEqual([undefined, undefined, 'prd']);
});

test('the filter takes parts of names; attention leaves what needs a person', () => {
  const rows = rowsOf([...cells, cell('dev', 'quiet', '1', 1)], config);
  const of = (text: string, attention: boolean) =>
    filtered(rows, { text, attention }).map((row) => row.service);
  expect(of('PROXY edge', false)).toEqual(['edge-proxy']);
  expect(of('', true)).not.toContain('quiet');
  expect(of('none', false)).toEqual([]);
});

test.each<[string, Cell, string[]]>([
  ['all well', cell('dev', 'a', '1', 3), ['✓ 3 of 3']],
  ['no instance', cell('dev', 'a', '1', 0), ['✓ no instance']],
  ['drift', { ...cell('dev', 'a', '1', 3), good: 2, drift: 1 }, ['! DRIFT 1']],
  ['broken', { ...cell('dev', 'a', '1', 3), good: 2, broken: 1 }, ['✗ BROKEN 1']],
  ['silent', { ...cell('dev', 'a', '1', 3), good: 2, silent: 1 }, ['✓ 2 of 3', '? SILENT 1']],
  ['fewer well than there are', { ...cell('dev', 'a', '1', 3), good: 2 }, ['! 2 of 3']],
  ['unreadable', { ...cell('dev', 'a', '1', 3), trouble: 'x' }, ['✗ UNREADABLE']],
  ['waiting', { ...cell('dev', 'a', '1', 9), underWay }, ['⏳ waits, 1 of 9']],
])('%s is said by glyph and word', (_, one, said) => {
  expect(texts(one)).toEqual(said);
});

test('a cell has at most five facts, and each has a word', () => {
  for (const one of [
    ...cells,
    { ...cell('dev', 'a', '1', 9), trouble: 'x', underWay, broken: 1, silent: 2, good: 1, drift: 1 },
  ]) {
    const facts = factsOf({ ...one, queue: [{ who: 'a', command: 'deploy', since: 0 }] });
    expect(facts.length).toBeLessThanOrEqual(4);
    for (const { text } of facts) expect(text).not.toBe('');
  }
});

test('nothing that is well needs attention; a failure, a pause of the service and an undriven rollout do', () => {
  expect(needsAttention(cell('dev', 'a', '1', 3))).toBe(false);
  const pause = { by: 'a', since: 0, reason: 'r' };
  expect(needsAttention({ ...cell('dev', 'a', '1', 3), pause: { ...pause, scope: 'environment' } })).toBe(
    false,
  );
  expect(needsAttention({ ...cell('dev', 'a', '1', 3), pause: { ...pause, scope: 'service' } })).toBe(true);
  const { waiting, ...going } = underWay;
  expect(waiting).toBeDefined();
  expect(needsAttention({ ...cell('dev', 'a', '1', 3), underWay: going })).toBe(false);
  expect(
    needsAttention({ ...cell('dev', 'a', '1', 3), underWay: { ...going, driver: { state: 'none' } } }),
  ).toBe(true);
});

test('a name is shown without its host', () => {
  expect(['ann@acme.com', 'ann', '@x', 'jenkins #4'].map(shortName)).toEqual([
    'ann',
    'ann',
    '@x',
    'jenkins #4',
  ]);
});
