import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Which } from '../support/cloud/fault-proxy.ts';
import { slowDown } from '../support/cloud/fault-proxy-answers.ts';
import type { Instance } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf, tracesOf } from './support/fleet/by-hand.ts';

/** What takes its time: a body that hardly comes, an S3 that stays busy, a large file over a bad line, a lost receive. */

const MIB = 1024 * 1024;

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1', cheapServices);
  await world.deployByHand(instance, '1.0.0', await world.place('1.0.0'));
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const isDownload: Which = ({ operation, key }) =>
  operation === 'GetObject' && (key?.startsWith('artifacts/') ?? false);

async function failsThenSucceeds(version: string, why: RegExp): Promise<void> {
  const artifacts = await world.place(version, 300 * 1024);
  const before = await currentOf(instance);
  const report = await world.deployByHand(instance, version, artifacts);
  expect(report).toMatchObject({ state: 'failed', changed: false, error: { code: 'DOWNLOAD_FAILED' } });
  expect(report.error?.message).toMatch(why);
  await expect.poll(() => tracesOf(instance, version), { timeout: 30_000 }).toEqual([]);
  expect(await currentOf(instance)).toBe(before);
  world.proxy.clear();
  expect(await world.deployByHand(instance, version, artifacts)).toMatchObject({ state: 'succeeded' });
  expect(await currentOf(instance)).toBe(version);
}

test('a body that hardly comes is given up after five stalls, with nothing changed', async () => {
  const rule = world.proxy.meet({ kind: 'drip', bytes: 100, everyMs: 200 }, isDownload);
  await failsThenSucceeds('1.1.0', /stopped at \d+ of \d+ bytes: no data/);
  expect(rule.met).toBe(5);
  proved('download', 'a drip below 16 KiB in 15 s: given up after 5 stalls, then retried');
});

test('an S3 that stays busy is given up in the end, with nothing changed', async () => {
  world.proxy.meet(slowDown('s3', 1), isDownload);
  await failsThenSucceeds('1.2.0', /stopped at 0 of \d+ bytes/);
  proved('download', '503 without end: given up, then retried');
});

test('a large file over a line that breaks every 3 MiB arrives in ranges, none of its bytes asked for twice at the end', async () => {
  const artifacts = await world.place('1.3.0', 40 * MIB);
  const rule = world.proxy.meet({ kind: 'truncate', after: 3 * MIB, framing: 'chunked' }, isDownload);
  const report = await world.deployByHand(instance, '1.3.0', artifacts);
  expect(report).toMatchObject({ state: 'succeeded', changed: true });
  // Five ranges of 8 MiB and a last one, each in pieces of 3 MiB.
  expect(rule.met).toBe(16);
  expect(await currentOf(instance)).toBe('1.3.0');
  proved('download', '40 MiB in ranges, cut every 3 MiB: 16 reads, no byte twice');
});

test('an announcement whose receipt is lost on the way comes again after its visibility timeout, and is deployed once', async () => {
  const artifacts = await world.place('1.4.0');
  const polls = world.proxy.meet(
    { kind: 'lose-answer' },
    ({ operation }) => operation === 'ReceiveMessage',
    1,
  );
  world.proxy.hangUp();
  await polls.reached(1);
  const report = await world.deployByHand(instance, '1.4.0', artifacts);
  expect(report).toMatchObject({ state: 'succeeded', changed: true });
  expect(await currentOf(instance)).toBe('1.4.0');
  proved('lost-answer', 'a received announcement lost on the way: came again, deployed once');
});
