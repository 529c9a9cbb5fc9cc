import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { onLeftover, removeLeftover } from '../../../../../agent/host/fs/leftovers.ts';
import { swept } from '../../../../../agent/host/fs/sweeper.ts';
import { createJournal } from '../../../../../agent/host/state/journal.ts';
import { createOrderSpool } from '../../../../../agent/host/state/order-spool.ts';
import { newUlid } from '../../../../../shared/names.ts';
import { calm } from '../../../../support/host/clock.ts';
import { immutableFiles } from '../../../../support/host/immutable.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

/** What cannot be cleaned away never stops a deployment: it is told, and stepped over. */

const told: string[] = [];
beforeEach(() => {
  onLeftover(({ path }) => void told.push(path));
  immutableFiles();
});
afterEach(() => void told.splice(0));

test('an entry that cannot be removed does not keep the others in its tree', async () => {
  const directory = await temporaryDirectory();
  for (const name of ['a', 'b', 'c']) {
    await mkdir(join(directory, 'tree', name), { recursive: true });
    await writeFile(join(directory, 'tree', name, name === 'b' ? 'immutable' : 'file'), '');
  }
  expect(await removeLeftover(join(directory, 'tree'))).toBe(false);
  expect(await namesBelow(directory)).toEqual(['tree', 'tree/b', 'tree/b/immutable']);
});

test('a leftover is told once, and again for another reason or after it was gone', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'immutable');
  await writeFile(path, '');
  for (let n = 0; n < 3; n += 1) await removeLeftover(path);
  expect(told).toEqual([path]);
});

test('a deployment is prepared although a killed one left files that cannot be removed', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await mkdir(join(dir, '.staging', 'killed', 'release'), { recursive: true });
  await writeFile(join(dir, '.staging', 'killed', 'release', 'immutable'), '');
  await symlink('releases/1', join(dir, '.current.0123456789abcdef.new'));
  await prepare('1.4.2');
  await jar.switchTo('1.4.2');
  expect(await jar.current()).toBe('1.4.2');
  await swept();
  expect(await readdir(join(dir, '.staging'))).toEqual(['killed']);
  expect(told).toEqual([join(dir, '.staging', 'killed')]);
  proved('leftovers', 'staging: a file that cannot be removed');
});

test('an old release that cannot be removed stays, and the others are removed', async () => {
  const { dir, jar, prepare } = await jarService();
  for (const version of ['1', '2-immutable', '3', '4', '5', '6']) await prepare(version);
  await jar.switchTo('6');
  expect((await jar.prune(new Set())).sort()).toEqual(['1', '3']);
  expect((await readdir(join(dir, 'releases'))).sort()).toEqual(['2-immutable', '4', '5', '6']);
  await swept();
  expect(told).toEqual([join(dir, 'releases', '2-immutable')]);
  proved('leftovers', 'an old release that cannot be removed');
});

test.each([
  ['a file', (path: string) => writeFile(path, '')],
  ['a link', (path: string) => symlink('/', path)],
])('%s in place of the staging directory is told, and another directory is used', async (_, occupy) => {
  const { dir, prepare } = await jarService();
  await mkdir(dir, { recursive: true });
  await occupy(join(dir, '.staging'));
  await prepare('1.4.2');
  await swept();
  expect((await readdir(dir)).sort()).toEqual(['.staging', '.staging-2', 'releases']);
  expect(await readdir(join(dir, '.staging-2'))).toEqual([]);
  expect(told).toEqual([join(dir, '.staging')]);
});

test('a release in the place of the new one that cannot be put away is named', async () => {
  const { dir, prepare } = await jarService();
  await mkdir(join(dir, 'releases', '1-immutable'), { recursive: true });
  await expect(prepare('1-immutable')).rejects.toMatchObject({
    code: 'RELEASE_CONFLICT',
    message: expect.stringContaining('cannot be replaced: EPERM'),
  });
});

test('local orders are taken although an abandoned one cannot be removed', async () => {
  const state = await temporaryDirectory();
  const spool = createOrderSpool(state);
  const order = {
    ...{ deployment: newUlid(Date.now()), service: 'payments', version: '1', action: 'rollback' as const },
    ...{ by: 'ada', at: new Date().toISOString() },
  };
  await spool.give(order, { artifacts: [] });
  await mkdir(join(state, 'local', '.new-old'));
  await writeFile(join(state, 'local', '.new-old', 'immutable'), '');
  expect((await spool.pending()).map(({ deployment }) => deployment)).toEqual([order.deployment]);
  await writeFile(join(state, 'local', order.deployment, 'immutable'), '');
  await spool.remove(order.deployment);
  expect(told).toContain(join(state, 'local', order.deployment));
  proved('leftovers', 'a local order that cannot be removed');
});

test('a directory in place of the journal is put aside', async () => {
  const state = await temporaryDirectory();
  const path = join(state, 'services', 'payments.journal');
  await mkdir(path, { recursive: true });
  const journal = createJournal({ path, parse: (value) => value as never });
  expect(await journal.load()).toMatchObject({
    state: undefined,
    quarantined: expect.stringContaining('.corrupt-'),
  });
  await journal.append({ v: 1 } as never);
  expect(await createJournal({ path, parse: (value) => value as never }).load()).toMatchObject({
    state: { v: 1 },
  });
});

test('a work that was abandoned publishes nothing, and its files are removed by the next', async () => {
  const { dir, store, jar, prepare, versions } = await jarService();
  const artifacts = versions('1.4.2');
  const controller = new AbortController();
  const read = store.read.bind(store);
  const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  store.read = async (request) => {
    reached.resolve();
    await released.promise;
    return read({ ...request, signal: calm });
  };
  const order = { service: 'payments', version: '1.4.2', artifacts, fresh: false };
  const abandoned = jar
    .prepare(order, () => {}, controller.signal)
    .then(
      () => 'published',
      () => 'ended',
    );
  await reached.promise;
  controller.abort(new Error('superseded'));
  store.read = read;
  await prepare('1.4.3');
  await swept();
  expect(await readdir(join(dir, '.staging'))).toEqual([]);
  released.resolve();
  expect(await abandoned).toBe('ended');
  expect(await readdir(join(dir, 'releases'))).toEqual(['1.4.3']);
});
