import { describe, expect, it } from 'vitest';
import type { PastDeployment } from '../../../../publisher/record/local-deployment.ts';
import { standingAt } from '../../../../publisher/record/standing.ts';
import { newUlid } from '../../../../shared/names.ts';

const T0 = Date.parse('2026-11-01T14:00:00Z');
const MINUTE = 60_000;
const iso = (minute: number) => new Date(T0 + minute * MINUTE).toISOString();

interface Told {
  begun: number;
  ended?: number;
  version: string;
  previous: string | null;
  more?: object;
}

/** What the record holds, the oldest first. */
function recordOf(...told: readonly Told[]) {
  const past = told.map(({ begun, ended, version, previous, more }) => ({
    ...{ deployment: newUlid(T0 + begun * MINUTE), version, previous, action: 'deploy', issuedBy: 'ann' },
    ...{
      announcedAt: iso(begun),
      desiredFirst: false,
      status: ended === undefined ? 'announced' : 'succeeded',
    },
    ...(ended !== undefined && { settledAt: iso(ended), setDesired: true }),
    ...more,
  }));
  const ids = past.map((one) => one.deployment);
  return {
    async *ids(_: string, before = '~') {
      yield ids.filter((id) => id < before).reverse();
    },
    someIds: async (_: string, after: string) => ids.filter((id) => id > after),
    pastOrNone: async (_: string, id: string) =>
      past.find((one) => one.deployment === id) as unknown as PastDeployment | undefined,
  };
}
const at = async (minute: number, ...told: readonly Told[]) =>
  (await standingAt(recordOf(...told), ['payments'], T0 + minute * MINUTE))[0];

const FIRST: Told = { begun: 0, ended: 1, version: '1.0', previous: null };
const SECOND: Told = { begun: 10, ended: 20, version: '1.1', previous: '1.0' };
const FAILED = { status: 'failed', setDesired: undefined };

describe('what stood at a time', () => {
  it.each([
    ['before the first deployment: nothing', -1, undefined, undefined],
    ['while the first goes on: no version yet', 0.5, null, '1.0'],
    ['after it: its version', 5, '1.0', undefined],
    ['while the next goes on: still the version before', 15, '1.0', '1.1'],
    ['after that', 25, '1.1', undefined],
  ])('%s', async (_, minute, version, underWay) => {
    const found = await at(minute, FIRST, SECOND);
    expect(found?.version).toBe(version);
    expect(found?.underWay?.version).toBe(underWay);
    expect(found?.unknown).toBeUndefined();
  });

  it('a failed deployment, a restart and one to named instances change nothing', async () => {
    for (const more of [FAILED, { action: 'restart', setDesired: undefined }, { targets: ['i-1'] }]) {
      expect(await at(25, FIRST, { ...SECOND, more })).toMatchObject({ version: '1.0', by: 'ann' });
    }
  });

  it('a rollback writes the desired state before it is announced', async () => {
    const back: Told = { begun: 30, ended: 32, version: '1.0', previous: '1.1' };
    const more = { action: 'rollback', desiredFirst: true };
    expect(await at(31, FIRST, SECOND, { ...back, more })).toMatchObject({
      version: '1.0',
      underWay: { action: 'rollback' },
    });
  });

  it('the record that gc cut off says that it does not reach back, and what the next one replaced', async () => {
    expect(await at(5, SECOND)).toMatchObject({
      version: null,
      unknown: expect.stringContaining('the next deployment replaced 1.0'),
    });
  });

  it('a gap is noticed by what the next deployment replaced', async () => {
    const third: Told = { begun: 40, ended: 41, version: '1.2', previous: '1.1' };
    expect(await at(25, FIRST, third)).toMatchObject({
      version: null,
      unknown: expect.stringMatching(/gap: .* set 1\.0 before, but the next deployment replaced 1\.1/),
    });
  });

  it.each([
    [
      'a rollback between the time and the next deployment',
      25,
      '1.1',
      {
        begun: 30,
        ended: 32,
        version: '1.0',
        previous: '1.1',
        more: { action: 'rollback', desiredFirst: true },
      },
    ],
    ['a deployment that went on at the time, and succeeded later', 15, '1.0', undefined],
    [
      'one that set the desired state first, and then failed',
      35,
      '1.3',
      {
        ...{ begun: 30, ended: 32, version: '1.3', previous: '1.1' },
        more: { status: 'failed', desiredFirst: true },
      },
    ],
  ] as const)('%s is no gap', async (_, minute, version, between) => {
    const previous = between?.version === '1.0' ? '1.0' : '1.1';
    const next: Told = { begun: 40, ended: 41, version: '1.2', previous };
    const found = await at(minute, FIRST, SECOND, ...(between ? [between] : []), next);
    expect(found).toMatchObject({ version });
    expect(found?.unknown).toBeUndefined();
  });

  it('a rollback after the past that gc cut off does not say what stood before', async () => {
    const more = { action: 'rollback', desiredFirst: true };
    const back: Told = { begun: 30, ended: 32, version: '1.0', previous: '1.1', more };
    expect(await at(25, back)).toMatchObject({ version: null, unknown: expect.not.stringContaining('1.1') });
  });

  it('a record that is not signed counts for nothing', async () => {
    expect(await at(25, FIRST, { ...SECOND, more: { unsigned: true } })).toMatchObject({ version: '1.0' });
  });
});
