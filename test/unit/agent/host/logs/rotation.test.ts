import { appendFile, copyFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { lines, worldWith } from '../../../../support/agent/logs-fixture.ts';
import { calm } from '../../../../support/host/clock.ts';

/** What the bucket has after files of a real directory were rotated, in all the ways in which that is done. */

describe('a rotation', () => {
  test('by renaming keeps the log one log, and begins another', async () => {
    const { at, ship } = await worldWith({ 'app.log': lines(0, 20) });
    await ship();
    await appendFile(at('app.log'), lines(20, 30));
    await rename(at('app.log'), at('app.log.1'));
    await writeFile(at('app.log'), lines(30, 40));
    expect(await ship()).toEqual([lines(0, 30), lines(30, 40)]);
    await rename(at('app.log.1'), at('app.log.2'));
    await rename(at('app.log'), at('app.log.1'));
    expect(await ship()).toEqual([lines(0, 30), lines(30, 40)]);
  });

  test('by copying and truncating: the copy continues the log', async () => {
    const { at, ship } = await worldWith({ 'app.log': lines(0, 100) });
    await ship();
    await appendFile(at('app.log'), lines(100, 130));
    await copyFile(at('app.log'), at('app.log.1'));
    await truncate(at('app.log'));
    await appendFile(at('app.log'), lines(130, 140));
    expect(await ship()).toEqual([lines(0, 130), lines(130, 140)]);
  });

  test('by copying, seen before the original is truncated', async () => {
    const { at, ship } = await worldWith({ 'app.log': lines(0, 100) });
    await ship();
    await appendFile(at('app.log'), lines(100, 130));
    await copyFile(at('app.log'), at('app.log.1'));
    expect(await ship()).toEqual([lines(0, 130)]);
    await truncate(at('app.log'));
    await appendFile(at('app.log'), lines(130, 300));
    expect(await ship()).toEqual([lines(0, 130), lines(130, 300)]);
  });

  test('by copying, seen while the copy is written, and of a log that was never uploaded', async () => {
    const { at, ship } = await worldWith({ 'app.log': lines(0, 300), 'app.log.1': lines(0, 200) });
    expect(await ship()).toEqual([lines(0, 300)]);
    await writeFile(at('app.log.1'), lines(0, 300));
    await truncate(at('app.log'));
    await appendFile(at('app.log'), lines(300, 310));
    expect(await ship()).toEqual([lines(0, 300), lines(300, 310)]);
  });

  test('with compression: what was not uploaded before comes from the compressed file', async () => {
    const { at, ship, world } = await worldWith({ 'app.log': lines(0, 400) });
    await ship();
    await rm(at('app.log'));
    await writeFile(at('app.log.1.gz'), gzipSync(lines(0, 1000)));
    await writeFile(at('app.log'), lines(1000, 1001));
    expect(await ship()).toEqual([lines(0, 1000), lines(1000, 1001)]);
    await rename(at('app.log.1.gz'), at('app.log.2.gz'));
    await world.start();
    expect(await ship()).toEqual([lines(0, 1000), lines(1000, 1001)]);
  });

  test('with compression, seen while it is compressed', async () => {
    const { at, ship } = await worldWith({ 'app.log.1': lines(0, 3000) });
    await ship();
    const whole = gzipSync(lines(0, 3000));
    await writeFile(at('app.log.1.gz'), whole.subarray(0, whole.length / 2));
    expect(await ship()).toEqual([lines(0, 3000)]);
    await appendFile(at('app.log.1.gz'), whole.subarray(whole.length / 2));
    await rm(at('app.log.1'));
    expect(await ship()).toEqual([lines(0, 3000)]);
  });

  test('of a log that was there before the agent: each file once', async () => {
    const { ship, bucket, world } = await worldWith({
      'app.log': lines(20, 30),
      'app.log.1': lines(10, 20),
      'app.log-20261127.gz': gzipSync(lines(0, 10)).toString('latin1'),
    });
    await writeFile(join(world.dir, 'app.log-20261127.gz'), gzipSync(lines(0, 10)));
    expect((await ship()).toSorted()).toEqual([lines(0, 10), lines(10, 20), lines(20, 30)]);
    await world.start();
    await ship();
    expect(bucket.puts).toBe(3);
  });

  test('is seen by a round that does not upload everything, once the file stays as it is', async () => {
    const { at, world, bucket } = await worldWith({ 'app.log': lines(0, 20) });
    const shipper = await world.start();
    await shipper.round(false, calm);
    await shipper.round(false, calm);
    expect(bucket.puts).toBe(0);
    await rename(at('app.log'), at('app.log.1'));
    await writeFile(at('app.log'), '');
    await shipper.round(false, calm);
    await shipper.round(false, calm);
    expect(bucket.logs()).toEqual([lines(0, 20)]);
  });
});
