import { existsSync, promises } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { withSpace } from '../../../../../agent/host/fs/space.ts';
import { sweepLater, swept } from '../../../../../agent/host/fs/sweeper.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { proved } from '../../../../support/reliability.ts';
import { ZIP } from '../../../../support/shared/zip.ts';

/** Until the end of the test, `unlink` and `statfs` are these. */
function replace(calls: Partial<Record<'unlink' | 'statfs', unknown>>): void {
  const real = { unlink: promises.unlink, statfs: promises.statfs };
  Object.assign(promises, calls);
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(promises, real);
    syncBuiltinESMExports();
  });
}

/** Deletions hang from now on, until `release`. */
function hangingDeletions(): { reached: Promise<void>; release: () => void } {
  const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { unlink } = promises;
  replace({
    unlink: async (path: string) => {
      reached.resolve();
      await released.promise;
      return await unlink(path);
    },
  });
  return { reached: reached.promise, release: released.resolve };
}

test('a deletion that hangs delays neither the pruning nor the next deployment', async () => {
  const { dir, jar, prepare } = await jarService();
  for (const version of ['1', '2', '3', '4', '5']) await prepare(version);
  await swept();
  const { reached, release } = hangingDeletions();
  expect((await jar.prune(new Set())).sort()).toEqual(['1', '2']);
  await reached;
  expect((await readdir(join(dir, 'releases'))).sort()).toEqual(['3', '4', '5']);
  expect(await prepare('6')).toEqual({ downloaded: 5 + ZIP.length });
  await jar.switchTo('6');
  expect(await jar.prune(new Set())).toEqual(['3']);
  // A version that is being deleted comes back whole.
  expect(await prepare('1')).toEqual({ downloaded: 5 + ZIP.length });
  release();
  await swept();
  expect(await readdir(join(dir, '.staging'))).toEqual([]);
  expect((await readdir(join(dir, 'releases'))).sort()).toEqual(['1', '4', '5', '6']);
  proved('prune', 'a deletion that hangs: the next deployment is prepared');
});

test('a deletion pauses while a release is prepared, and goes on afterwards', async () => {
  const { dir, store, prepare } = await jarService();
  await prepare('1');
  await swept();
  const left = join(dir, '.staging', 'killed');
  await mkdir(left);
  await writeFile(join(left, 'file'), '');
  store.fault = () => {
    expect(existsSync(join(left, 'file'))).toBe(true);
    return undefined;
  };
  await prepare('2');
  await swept();
  expect(await readdir(join(dir, '.staging'))).toEqual([]);
});

test('a release for which the space lacks is prepared once what a killed agent left is deleted', async () => {
  const { dir, prepare } = await jarService();
  await prepare('1');
  await swept();
  const left = join(dir, '.staging', 'killed');
  await mkdir(left);
  await writeFile(join(left, 'file'), '');
  const bavail = () => (existsSync(left) ? 0 : 1_000_000);
  replace({ statfs: async () => ({ bavail: bavail(), bsize: 4096, files: 0, ffree: 0 }) });
  expect(await prepare('2')).toEqual({ downloaded: 5 + ZIP.length });
});

test('a disk that runs full is tried again once more space is there', async () => {
  let left = true;
  const deletion = Promise.withResolvers<void>();
  replace({ statfs: async () => ({ bavail: left ? 1000 : 2000, bsize: 4096, files: 0, ffree: 0 }) });
  sweepLater('/opt/payments', () => deletion.promise);
  const work = async () => {
    if (!left) return 'done';
    setImmediate(() => {
      left = false;
      deletion.resolve();
    });
    throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
  };
  expect(await withSpace('/opt/payments', work, calm)).toBe('done');
});

test('a wait for space ends with its signal, and a full disk without leftovers is told at once', async () => {
  const { dir, jar, versions, prepare } = await jarService();
  await prepare('1');
  await swept();
  replace({ statfs: async () => ({ bavail: 0, bsize: 4096, files: 0, ffree: 0 }) });
  await expect(prepare('2')).rejects.toMatchObject({ code: 'NO_SPACE' });
  await swept();
  await writeFile(join(dir, '.staging', 'left'), '');
  const released = Promise.withResolvers<void>();
  const { rm } = promises;
  Object.assign(promises, { rm: () => released.promise });
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(promises, { rm });
    syncBuiltinESMExports();
  });
  const order = { service: 'payments', version: '2', artifacts: versions('2'), fresh: false };
  const controller = new AbortController();
  const ending = jar.prepare(order, () => {}, AbortSignal.any([controller.signal, calm]));
  controller.abort(new Error('superseded'));
  await expect(ending).rejects.toThrow('superseded');
  released.resolve();
});

test('a pruning that was left removes nothing', async () => {
  const { jar, prepare } = await jarService();
  for (const version of ['1', '2', '3', '4']) await prepare(version);
  await expect(jar.prune(new Set(), AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
  expect((await jar.releases()).map(({ version }) => version).sort()).toEqual(['1', '2', '3', '4']);
});
