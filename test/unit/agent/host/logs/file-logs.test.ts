import { execFileSync } from 'node:child_process';
import { appendFile, link, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLogWorld, lines, worldWith } from '../../../../support/agent/logs-fixture.ts';
import { calm } from '../../../../support/host/clock.ts';

/** The log files of a service in a real directory, and what of them is in the bucket after each round. */

describe('a log that grows', () => {
  test('is in the bucket in parts, which together are the log', async () => {
    const { at, ship, bucket } = await worldWith({ 'app.log': lines(0, 500) });
    expect(await ship()).toEqual([lines(0, 500)]);
    await appendFile(at('app.log'), lines(500, 510));
    expect(await ship()).toEqual([lines(0, 510)]);
    expect(bucket.objects.size).toBeGreaterThan(3);
  });

  test('is not uploaded again while nothing is written, also by another agent', async () => {
    const { ship, bucket, world } = await worldWith({ 'app.log': lines(0, 50) });
    await ship();
    await ship();
    await world.start();
    expect(await ship()).toEqual([lines(0, 50)]);
    expect(bucket.puts).toBe(1);
  });

  test('is uploaded up to a size that it has while it is read', async () => {
    const { at, ship, bucket } = await worldWith({ 'app.log': lines(0, 100) });
    bucket.before = async () => {
      bucket.before = () => {};
      await appendFile(at('app.log'), lines(100, 200));
    };
    await ship();
    expect(await ship()).toEqual([lines(0, 200)]);
  });

  test('may be stored as it is', async () => {
    const { ship, bucket } = await worldWith({ 'app.log': lines(0, 10) }, { compress: false });
    expect(await ship()).toEqual([lines(0, 10)]);
    expect([...bucket.objects.keys()][0]).toMatch(/\/000000000000000-000000000000230\.log$/);
  });

  test('has keys that name it, and sort', async () => {
    const { ship, bucket } = await worldWith({ 'app.log': lines(0, 500) });
    await ship();
    const found = [...bucket.objects.keys()];
    expect(found[0]).toMatch(
      /^logs\/dev\/payments\/AROAEXAMPLE:i-1\/2026-11-28\/100000-app\.log-[0-9a-f]{16}\/000000000000000-000000000004096\.gz$/,
    );
    expect(found).toEqual(found.toSorted());
  });
});

describe('files that are not what they were', () => {
  test('another file in the same inode is another log', async () => {
    const { at, ship } = await worldWith({ 'app.log': lines(0, 20) });
    await ship();
    // Truncating and writing keeps the inode, as a file system does that gives a free inode to the next file.
    await writeFile(at('app.log'), lines(50, 90));
    expect(await ship()).toEqual([lines(0, 20), lines(50, 90)]);
  });

  test('a truncated log begins anew; what was truncated before its upload is lost, and that is said', async () => {
    const { at, ship, warnings } = await worldWith({ 'app.log': lines(0, 20) });
    await ship();
    await truncate(at('app.log'));
    await ship();
    await appendFile(at('app.log'), lines(30, 33));
    expect(await ship()).toEqual([lines(0, 20), lines(30, 33)]);
    expect(warnings).toEqual([]);
  });

  test('a log that is gone before its end was uploaded is named', async () => {
    const { at, world, warnings } = await worldWith({ 'app.log': lines(0, 20) });
    const shipper = await world.start();
    await shipper.round(false, calm);
    await rm(at('app.log'));
    await shipper.round(false, calm);
    expect(warnings).toEqual(['app.log is gone before its end was uploaded']);
  });

  test('a file that is truncated while it is read is not uploaded as something that it never was', async () => {
    const { at, ship, bucket } = await worldWith({ 'app.log': lines(0, 500) }, { partBytes: 1000 });
    bucket.before = async () => {
      bucket.before = () => {};
      await truncate(at('app.log'), 0);
      await appendFile(at('app.log'), lines(900, 950));
    };
    await ship();
    const all = await ship();
    expect(all).toEqual([lines(0, 500).slice(0, 1000), lines(900, 950)]);
  });

  test('two logs that begin with the same bytes are two logs', async () => {
    const { at, ship } = await worldWith({ 'worker-1.log': 'start\n', 'worker-2.log': 'start\n' });
    await ship();
    await appendFile(at('worker-1.log'), lines(0, 3));
    await appendFile(at('worker-2.log'), lines(7, 9));
    await ship();
    await ship();
    expect((await ship()).toSorted()).toEqual([`start\n${lines(0, 3)}`, `start\n${lines(7, 9)}`]);
  });

  test('an empty file is no log yet', async () => {
    const { at, ship } = await worldWith({ 'app.log': '' });
    expect(await ship()).toEqual([]);
    await appendFile(at('app.log'), 'x');
    expect(await ship()).toEqual(['x']);
  });

  test('names with odd characters are logs like others', async () => {
    const odd = ['a b\n"$(x)`.log', 'ä€.log', '-rf.log', `${'x'.repeat(200)}.log`];
    const { ship, dir, bucket } = await worldWith(Object.fromEntries(odd.map((name) => [name, name])));
    await writeFile(
      Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe]), Buffer.from('.log')]),
      'bytes',
    );
    expect((await ship()).length).toBe(5);
    for (const key of bucket.objects.keys()) expect(key).toMatch(/^[A-Za-z0-9:/._-]{1,300}$/);
  });
});

describe('what another user could have put there', () => {
  test.each([
    ['a link', (secret: string, at: string) => symlink(secret, at), 'it is a link'],
    ['a hard link', (secret: string, at: string) => link(secret, at), 'it has more than one name'],
    [
      'a fifo',
      async (_: string, at: string) => void execFileSync('mkfifo', [at]),
      'it is not a regular file',
    ],
  ])('%s is not read, and named once', async (_, plant, why) => {
    const { ship, at, warnings } = await worldWith({ secret: 'root:x' });
    await plant(at('secret'), at('app.log'));
    await ship();
    expect(await ship()).toEqual([]);
    expect(warnings.filter((text) => text.includes(why))).toHaveLength(1);
  });

  test('a link in place of a log that was uploaded before is not read', async () => {
    const { ship, at } = await worldWith({ 'app.log': lines(0, 5), secret: `${lines(0, 5)}root:x` });
    await ship();
    await rm(at('app.log'));
    await symlink(at('secret'), at('app.log'));
    expect(await ship()).toEqual([lines(0, 5)]);
  });

  test('a directory is no log, and a directory that does not exist has none', async () => {
    const { ship, at, dir, warnings } = await worldWith({});
    await mkdir(at('app.log'));
    expect(await ship()).toEqual([]);
    await rm(dir, { recursive: true });
    expect(await ship()).toEqual([]);
    expect(warnings).toEqual([]);
  });
});

test('a file that is deleted while it is read is uploaded as far as it was opened', async () => {
  const { ship, at, bucket } = await worldWith({ 'app.log': lines(0, 500) });
  bucket.before = async () => await rm(at('app.log'), { force: true });
  expect(await ship()).toEqual([lines(0, 500)]);
});

test('two thousand files are uploaded once each', async () => {
  const world = await createLogWorld({ partBytes: 4096, compress: false });
  for (let i = 0; i < 2000; i += 1) await writeFile(join(world.dir, `${i}.log`), `file ${i}\n`);
  await world.ship();
  await world.ship();
  expect(world.bucket.puts).toBe(2000);
  expect(new Set(world.bucket.logs()).size).toBe(2000);
});

describe('limits', () => {
  test('while a deployment runs, nothing is uploaded', async () => {
    const { world, bucket } = await worldWith({ 'app.log': lines(0, 500) });
    world.busy = true;
    expect(await world.ship()).toBe(false);
    world.busy = false;
    bucket.before = () => {
      world.busy = true;
    };
    expect(await world.ship()).toBe(false);
    expect(bucket.puts).toBe(1);
  });

  test('a sparse file, or many small ones, cannot cost more requests than the limit of the day has', async () => {
    const limits = { partBytes: 4096, maxPerDay: 640_000, partCountsAs: 64_000 };
    const sparse = await worldWith({ 'app.log': 'begin\n' }, limits);
    await truncate(sparse.at('app.log'), 2 ** 40);
    await sparse.ship();
    expect(sparse.bucket.puts).toBe(10);
    const names = Array.from({ length: 50 }, (_, i) => `n${i}x.log`);
    const many = await worldWith(Object.fromEntries(names.map((name) => [name, name])), limits);
    await many.ship();
    await many.ship();
    expect(many.bucket.puts).toBe(10);
  });

  test('no more than maxPerDay is stored on a day, which is said once; the next day goes on', async () => {
    const { world, bucket, warnings } = await worldWith(
      { 'app.log': lines(0, 500) },
      { compress: false, maxPerDay: 7000 },
    );
    await world.ship();
    await world.ship();
    expect(bucket.puts).toBe(2);
    expect(warnings).toEqual(['no more logs are uploaded today: maxPerDay is reached']);
    world.time += 24 * 60 * 60 * 1000;
    await world.ship();
    expect(bucket.logs()).toEqual([lines(0, 500)]);
  });

  test('the bandwidth is kept to, over all uploads', async () => {
    const { ship, clock } = await worldWith(
      { 'app.log': lines(0, 1000) },
      { compress: false, bytesPerSecond: 1000 },
    );
    await ship();
    // 24,000 bytes, of which the last part need not be waited for.
    expect(clock.monotonic()).toBeGreaterThan(19_000);
    expect(clock.monotonic()).toBeLessThan(24_000);
  });
});
