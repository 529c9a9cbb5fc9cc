import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Artifact } from '../../shared/manifest.ts';
import type { Which } from '../support/cloud/fault-proxy.ts';
import { expiredToken, type NetworkFault, slowDown } from '../support/cloud/fault-proxy-answers.ts';
import { push } from '../support/commands.ts';
import type { Instance } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf, tracesOf } from './support/fleet/by-hand.ts';

/** What may happen to the bytes of a release on their way: they arrive after all, or nothing has changed. */

const PADDING = 300 * 1024;
const PART = 100_000;

let world: FaultWorld;
let instance: Instance;
let resumed = 0;
let failed = 0;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1', cheapServices);
  await push(world.fleet, '0.1.0');
  expect(await world.fleet.publisher('payments', '0.1.0', '--env', 'dev')).toMatchObject({ code: 0 });
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const isDownloadOf =
  (version: string): Which =>
  ({ operation, key }) =>
    operation === 'GetObject' && (key?.startsWith(`artifacts/payments/${version}/`) ?? false);

/** The ranges asked for, as `[first, last]`, in order. */
function rangesOf(version: string): [number, number][] {
  return world.proxy.requests.filter(isDownloadOf(version)).map(({ range = '' }) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    return [Number(first), Number(last)];
  });
}

const sizeOf = ([artifact]: Artifact[]) => artifact?.size ?? 0;

test('a publisher whose deployment met cut bytes says what failed, and its next try succeeds', async () => {
  await push(world.fleet, '0.2.0');
  world.proxy.meet({ kind: 'spoil' }, isDownloadOf('0.2.0'));
  const bad = await world.fleet.publisher('payments', '0.2.0', '--env', 'dev');
  expect(bad.code, bad.stdout + bad.stderr).toBe(1);
  expect(bad.stdout).toContain('ARTIFACT_DIGEST_MISMATCH');
  await expect.poll(() => tracesOf(instance, '0.2.0'), { timeout: 30_000 }).toEqual([]);
  expect(await currentOf(instance)).toBe('0.1.0');
  world.proxy.clear();
  expect(await world.fleet.publisher('payments', '0.2.0', '--env', 'dev')).toMatchObject({ code: 0 });
  expect(await currentOf(instance)).toBe('0.2.0');
});

/** Each is met twice; `starts` is where the reads began, where that is certain. */
const OVERCOME: Record<string, { fault: NetworkFault; version: string; starts?: number[] }> = {
  'reset in mid-body': { fault: { kind: 'reset', after: PART }, version: '1.0.1' },
  'cut short of its Content-Length': {
    fault: { kind: 'truncate', after: PART, framing: 'length' },
    version: '1.0.2',
  },
  'ended early, as if that were all': {
    fault: { kind: 'truncate', after: PART, framing: 'chunked' },
    version: '1.0.3',
    starts: [0, PART, 2 * PART],
  },
};

test.each(Object.entries(OVERCOME))(
  'a download that is %s twice goes on where it broke off',
  async (_title, { fault, version, starts }) => {
    const artifacts = await world.place(version, PADDING);
    const rule = world.proxy.meet(fault, isDownloadOf(version), 2);
    const report = await world.deployByHand(instance, version, artifacts);
    expect(report).toMatchObject({ state: 'succeeded', changed: true });
    expect(rule.met).toBe(2);
    const ranges = rangesOf(version);
    expect(ranges).toHaveLength(3);
    expect(new Set(ranges.map(([, last]) => last))).toEqual(new Set([sizeOf(artifacts) - 1]));
    const began = ranges.map(([first]) => first);
    expect(began).toEqual([...began].sort((a, b) => a - b));
    expect(began.at(-1)).toBeGreaterThan(0);
    if (starts) expect(began).toEqual(starts);
    expect(await currentOf(instance)).toBe(version);
    resumed += 1;
  },
);

const SAT_OUT: Record<string, { fault: NetworkFault; version: string; times: number }> = {
  'S3 is too busy for, and says for how long': { fault: slowDown('s3', 1), version: '1.1.1', times: 2 },
  'comes in small pieces': {
    fault: { kind: 'drip', bytes: 16_384, everyMs: 20 },
    version: '1.1.2',
    times: 1,
  },
  'is answered into a connection that breaks': { fault: { kind: 'lose-answer' }, version: '1.1.3', times: 2 },
};

test.each(Object.entries(SAT_OUT))(
  'a download that %s succeeds',
  async (_title, { fault, version, times }) => {
    const rule = world.proxy.meet(fault, isDownloadOf(version), times);
    const report = await world.deployByHand(instance, version, await world.place(version, PADDING));
    expect(report).toMatchObject({ state: 'succeeded', changed: true });
    expect(rule.met).toBe(times);
    expect(await currentOf(instance)).toBe(version);
    resumed += 1;
  },
);

const GIVEN_UP: Record<string, { fault: NetworkFault; version: string; code: string }> = {
  'never ends': { fault: { kind: 'endless' }, version: '1.2.1', code: 'ARTIFACT_SIZE_MISMATCH' },
  'has one wrong bit': { fault: { kind: 'spoil' }, version: '1.2.2', code: 'ARTIFACT_DIGEST_MISMATCH' },
  'ends before it began, each time': {
    fault: { kind: 'truncate', after: 0, framing: 'chunked' },
    version: '1.2.3',
    code: 'ARTIFACT_SIZE_MISMATCH',
  },
  'is reset before it began, each time': {
    fault: { kind: 'reset', after: 0 },
    version: '1.2.4',
    code: 'DOWNLOAD_FAILED',
  },
  'is refused for an expired token': {
    fault: expiredToken('s3'),
    version: '1.2.5',
    code: 'DOWNLOAD_FAILED',
  },
};

test.each(Object.entries(GIVEN_UP))(
  'a download that %s fails with nothing changed, and the next try succeeds',
  async (_title, { fault, version, code }) => {
    const artifacts = await world.place(version, PADDING);
    const before = await currentOf(instance);
    world.proxy.meet(fault, isDownloadOf(version));
    const report = await world.deployByHand(instance, version, artifacts);
    expect(report).toMatchObject({ state: 'failed', changed: false, error: { code } });
    await expect.poll(() => tracesOf(instance, version), { timeout: 30_000 }).toEqual([]);
    expect(await currentOf(instance)).toBe(before);
    world.proxy.clear();
    const again = await world.deployByHand(instance, version, artifacts);
    expect(again).toMatchObject({ state: 'succeeded', changed: true });
    expect(await currentOf(instance)).toBe(version);
    failed += 1;
  },
);

test('every fault of a download ended in success, or in nothing changed', () => {
  expect([resumed, failed]).toEqual([6, 5]);
  proved('download', `${resumed} faults got over, ${failed} failed with nothing changed and then retried`);
});
