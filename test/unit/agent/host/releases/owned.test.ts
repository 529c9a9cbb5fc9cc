import { chmod, mkdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createDebPackage } from '../../../../../agent/host/deb/deb.ts';
import { inStaging, placesOf } from '../../../../../agent/host/releases/staging.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { jarText } from '../../../../support/shared/zip.ts';

/** Where others can write, nothing is written, deleted or made current: not at the start of the agent either. */

const refusal = (path: string) => ({
  code: 'NOT_READY',
  message: expect.stringContaining(`${path} can be written by everyone`),
  hint: `chmod go-w ${path}`,
});

async function deployed(adopt?: { path: string; version: string }) {
  const service = await jarService(adopt && { adopt });
  for (const version of ['1', '2', '3', '4', '5']) await service.prepare(version);
  const { dir } = service;
  await service.jar.switchTo('4');
  await mkdir(join(dir, '.staging', 'killed'));
  await symlink('releases/1', join(dir, '.current.0123456789abcdef.new'));
  return service;
}

test.each([
  ['the directory of the service', (dir: string) => dir],
  ['a directory above it', (dir: string) => dirname(dir)],
  ['releases', (dir: string) => join(dir, 'releases')],
  ['the staging directory', (dir: string) => join(dir, '.staging')],
])('with %s open to others, nothing is prepared, switched, adopted, pruned or swept', async (_, placeIn) => {
  const legacy = join(await temporaryDirectory(), 'app.jar');
  await writeFile(legacy, jarText('legacy'));
  const { dir, jar, prepare } = await deployed({ path: legacy, version: '0' });
  const before = await namesBelow(dir);
  const open = placeIn(dir);
  await chmod(open, 0o777);
  const refused = refusal(open);
  await expect(prepare('6')).rejects.toMatchObject(refused);
  await expect(prepare('5')).rejects.toMatchObject(refused);
  await expect(jar.switchTo('5')).rejects.toMatchObject(refused);
  await expect(jar.switchTo('4')).rejects.toMatchObject(refused);
  await expect(jar.switchTo(null)).rejects.toMatchObject(refused);
  await expect(jar.adopt(calm)).rejects.toMatchObject(refused);
  await expect(jar.add('7', async () => {}, calm)).rejects.toMatchObject(refused);
  await expect(jar.prune(new Set())).rejects.toMatchObject(refused);
  await expect(inStaging(placesOf(dir), async () => 'work')).rejects.toMatchObject(refused);
  expect(await namesBelow(dir)).toEqual(before);
  expect(await readlink(join(dir, 'current'))).toBe('releases/4');
  expect((await stat(open)).mode & 0o777).toBe(0o777);
});

test('it is refused for that reason before anything there is read or judged', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1');
  await rm(join(dir, '.staging'), { recursive: true });
  await symlink('/etc', join(dir, 'current'));
  await chmod(dir, 0o777);
  await expect(prepare('2')).rejects.toMatchObject(refusal(dir));
  await expect(jar.switchTo('1')).rejects.toMatchObject(refusal(dir));
  await expect(jar.prune(new Set())).rejects.toMatchObject(refusal(dir));
});

test('no .deb is installed from a directory that others can write to', async () => {
  const dir = join(await temporaryDirectory(), 'debs', 'edge');
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o777);
  const deb = createDebPackage({
    ...{ service: 'edge', dir, keep: 3, name: 'edge', companions: [], fetchDependencies: false },
    ...{ acceptNoUndo: false, installTimeout: 1000, lockTimeout: 1000, store: memoryStore() },
    manifests: { read: async () => undefined },
  });
  const change = { signal: calm } as Parameters<typeof deb.switchTo>[1];
  await expect(deb.switchTo('1', change)).rejects.toMatchObject(refusal(dir));
  await expect(deb.switchTo(null, change)).rejects.toMatchObject(refusal(dir));
});

test('after the mode is corrected the same calls succeed', async () => {
  const { dir, jar, prepare } = await deployed();
  await chmod(dirname(dir), 0o777);
  await expect(prepare('6')).rejects.toMatchObject({ code: 'NOT_READY' });
  await chmod(dirname(dir), 0o755);
  await prepare('6');
  await jar.switchTo('6');
  expect(await jar.current()).toBe('6');
  expect(await namesBelow(join(dir, '.staging'))).toEqual([]);
});
