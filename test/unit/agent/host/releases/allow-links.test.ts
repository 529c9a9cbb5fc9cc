import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import { calm } from '../../../../support/host/clock.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { tgz } from '../../../../support/host/tarball.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

test('a link to a place that the config allows is made, and removing the release does not follow it', async () => {
  const root = await temporaryDirectory();
  const [dir, shared] = [join(root, 'web'), join(root, 'web', 'shared')];
  await mkdir(shared, { recursive: true });
  await writeFile(join(shared, 'kept'), '');
  const store = memoryStore();
  const archive = createArchivePackage({ service: 'web', dir, keep: 3, store, allowLinks: ['../../shared'] });
  const bytes = tgz([
    { path: 'a', body: '' },
    { path: 'shared', type: 'SymbolicLink', linkpath: '../../shared' },
  ]);
  const artifacts = [store.put('web.tgz', bytes)];
  for (const version of ['1', '2', '3', '4', '5']) {
    await archive.prepare({ service: 'web', version, artifacts, fresh: false }, () => {}, calm);
  }
  await archive.switchTo('5');
  expect(await namesBelow(join(dir, 'current', 'shared', '.'))).toEqual(['kept']);
  expect(await archive.prune(new Set(['5']))).not.toEqual([]);
  expect(await namesBelow(shared)).toEqual(['kept']);
});
