import { appendFile, rename, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { aborted } from '../../../../../agent/deploy/abandon.ts';
import { lines, worldWith } from '../../../../support/agent/logs-fixture.ts';
import { calm } from '../../../../support/host/clock.ts';

/** The last logs of a service, before its instance ends. */

const LONG = 60_000;

async function worldAtEnd(files: Record<string, string>, options = {}) {
  const world = await worldWith(files, { partBytes: 1000, ...options });
  const shipper = await world.world.start();
  const last = (ms = LONG) => shipper.shipLogs(calm, world.clock.monotonic() + ms);
  const parts = () =>
    [...world.bucket.objects.values()].map(({ name, start, end }) => `${name} ${start}-${end}`);
  return { ...world, shipper, last, parts };
}

describe('the last logs', () => {
  test('are everything that is not in the bucket yet', async () => {
    const { at, ship, last, bucket, warnings } = await worldAtEnd({ 'app.log': lines(0, 100) });
    await ship();
    await rename(at('app.log'), at('app.log.1'));
    await appendFile(at('app.log.1'), lines(100, 200));
    await writeFile(at('app.log'), lines(200, 350));
    await last();
    expect(bucket.logs()).toEqual([lines(0, 200), lines(200, 350)]);
    expect(warnings).toEqual([]);
  });

  test('begin with the ends of the current files, the newest first; rotated ones come last', async () => {
    const { at, last, parts } = await worldAtEnd({ 'app.log.1': lines(0, 50) });
    await writeFile(at('old.log'), lines(0, 60));
    await writeFile(at('app.log'), lines(50, 120));
    for (const [i, name] of ['app.log.1', 'old.log', 'app.log'].entries()) await utimes(at(name), i, i + 1);
    await last();
    expect(parts().slice(0, 2)).toEqual(['app.log 610-1610', 'old.log 380-1380']);
    expect(parts().at(-1)).toMatch(/^app\.log\.1 /);
  });

  test('that do not get done in time are named, and what was uploaded is not uploaded again', async () => {
    const { last, bucket, warnings, shipper } = await worldAtEnd({ 'app.log': lines(0, 200) });
    const ending = new AbortController();
    bucket.after = () => ending.abort(new Error('the instance ends'));
    await expect(shipper.shipLogs(ending.signal, LONG)).rejects.toThrow('the instance ends');
    expect(warnings).toEqual([
      'not all last logs of payments are uploaded: 3600 bytes of 1 files are lost with this instance',
    ]);
    bucket.after = () => {};
    await last();
    expect(bucket.logs()).toEqual([lines(0, 200)]);
    expect(bucket.objects.size).toBe(bucket.puts);
  });

  test('are uploaded again after a failure, until there is no time left', async () => {
    const { last, bucket } = await worldAtEnd({ 'app.log': lines(0, 200) });
    let failures = 3;
    bucket.before = () => {
      failures -= 1;
      if (failures >= 0) throw new Error('SlowDown');
    };
    await last();
    expect(bucket.logs()).toEqual([lines(0, 200)]);
  });

  test('go out also while a deployment runs, over the limit of the day, and at full speed', async () => {
    const { last, bucket, world, clock } = await worldAtEnd(
      { 'app.log': lines(0, 500) },
      { maxPerDay: 100, bytesPerSecond: 10 },
    );
    world.busy = true;
    await last();
    expect(bucket.logs()).toEqual([lines(0, 500)]);
    expect(clock.monotonic()).toBe(0);
  });

  test('end a regular upload that is under way, which goes on where it was', async () => {
    const { shipper, last, bucket } = await worldAtEnd({ 'app.log': lines(0, 300) });
    let done: Promise<void> | undefined;
    bucket.before = () => {
      bucket.before = () => {};
      done = last();
    };
    expect(await shipper.round(true, calm)).toBe(false);
    await done;
    expect(bucket.logs()).toEqual([lines(0, 300)]);
  });

  test('are complete although a regular upload is cut off by them, and closes its directory', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`app${i}x.log`, lines(i, i + 30)]),
    );
    const { shipper, last, bucket, warnings } = await worldAtEnd(files);
    const { put } = bucket;
    const begun = Promise.withResolvers<void>();
    // Like a PUT on a slow line: it ends with its signal.
    bucket.put = async (_part, signal) => {
      bucket.put = put;
      begun.resolve();
      await aborted(signal, calm);
      throw signal.reason;
    };
    const round = shipper.round(true, calm);
    await begun.promise;
    await Promise.all([last(), round]);
    expect(await round).toBe(false);
    expect(bucket.logs().length).toBe(40);
    expect(warnings).toEqual([]);
  });

  test('of an instance that lives on are no obstacle to the next rounds', async () => {
    const { at, ship, last } = await worldAtEnd({ 'app.log': lines(0, 300) });
    await last();
    await appendFile(at('app.log'), lines(300, 400));
    expect(await ship()).toEqual([lines(0, 400)]);
  });

  test('without a deadline that lies ahead are none', async () => {
    const { bucket, shipper, clock, warnings } = await worldAtEnd({ 'app.log': lines(0, 300) });
    await shipper.shipLogs(calm, clock.monotonic());
    expect(bucket.puts).toBe(0);
    expect(warnings.length).toBe(1);
  });
});
