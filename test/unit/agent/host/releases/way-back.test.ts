import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { damageOf, shapeOf } from '../../../../../agent/host/releases/wholeness.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';
import { jarText } from '../../../../support/shared/zip.ts';

test.each([
  ['a directory that is no release', true],
  ['nothing', false],
])(
  'a deployment over a `current` that points at %s is refused before anything stops, and `check` agrees',
  async (_what, exists) => {
    const { dir, jar, prepare } = await jarService();
    await mkdir(join(dir, 'releases'), { recursive: true });
    if (exists) await mkdir(join(dir, 'releases', '20240101120000'));
    await symlink('releases/20240101120000', join(dir, 'current'));
    await expect(prepare('1.4.2')).rejects.toMatchObject({
      code: 'UNDO_IMPOSSIBLE',
      hint: expect.stringMatching(/`adopt`.*`acceptNoUndo: true`/),
    });
    expect(await jar.inspect()).toMatchObject([
      { ok: false, what: expect.stringContaining('could not be rolled back') },
    ]);
    expect(await readlink(join(dir, 'current'))).toBe('releases/20240101120000');
  },
);

test('the version that is current and incomplete can be deployed again, and is then the way back', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await jar.switchTo('1.4.1');
  await rm(join(dir, 'releases', '1.4.1', '.release.json'));
  await expect(prepare('1.4.2')).rejects.toMatchObject({ code: 'UNDO_IMPOSSIBLE' });
  await prepare('1.4.1');
  expect(await jar.inspect()).toEqual([]);
  await prepare('1.4.2');
});

test.each([
  ['is gone', (file: string) => rm(file)],
  ['is cut short', (file: string) => writeFile(file, 'jar')],
])(
  'a current release whose jar %s is no way back until the same version is deployed again',
  async (what, damage) => {
    const { dir, jar, prepare } = await jarService();
    await prepare('1.4.1');
    await jar.switchTo('1.4.1');
    const file = join(dir, 'releases', '1.4.1', 'payments.jar');
    await damage(file);
    await expect(prepare('1.4.2')).rejects.toMatchObject({
      code: 'UNDO_IMPOSSIBLE',
      message: expect.stringContaining('payments.jar'),
      hint: expect.stringMatching(/deploy 1\.4\.1 again.*`adopt`.*`acceptNoUndo: true`/),
    });
    expect(await jar.inspect()).toMatchObject([{ ok: false, what: expect.stringContaining('payments.jar') }]);
    expect(await jar.isWhole()).toBe(false);
    await prepare('1.4.1');
    expect(await readFile(file, 'utf8')).toBe(jarText('jar 1.4.1'));
    expect(await jar.inspect()).toEqual([]);
    await prepare('1.4.2');
    proved('way-back', `a jar that ${what}: refused, whole again when deployed again`);
  },
);

test('files that a service adds to its release, and a config file made shorter, leave it whole', async () => {
  const { dir, jar, prepare, store, versions } = await jarService();
  await prepare('1.4.1', [...versions('1.4.1'), { ...store.put('app.yml', 'a: long'), role: 'config' }]);
  await jar.switchTo('1.4.1');
  await writeFile(join(dir, 'current', 'app.yml'), 'a: 1');
  await writeFile(join(dir, 'current', 'app.log'), 'x');
  expect(await jar.inspect()).toEqual([]);
  await prepare('1.4.2');
});

test('an archive whose small files are gone is no way back; a record of 0.1 needs any file', async () => {
  const release = join(await temporaryDirectory(), '1');
  await mkdir(join(release, 'lib'), { recursive: true });
  for (let i = 0; i < 30; i += 1) await writeFile(join(release, 'lib', `${i}`), 'x'.repeat(i));
  const record = { v: 1 as const, version: '1', artifacts: [], preparedAt: new Date().toISOString() };
  const shape = await shapeOf(release);
  expect(shape).toMatchObject({ entries: 31, files: { length: 16 } });
  expect(await damageOf(release, { ...record, shape })).toBeUndefined();
  await rm(join(release, 'lib', '0'));
  expect(await damageOf(release, { ...record, shape })).toBe('lacks 1 of its 31 files and directories');
  expect(await damageOf(release, record)).toBeUndefined();
  await rm(join(release, 'lib'), { recursive: true });
  expect(await damageOf(release, record)).toBe('lacks 1 of its 1 files and directories');
});

/** What other deploy tools leave: `dir/current`, from where `old.jar` runs. */
async function foreign(kind: 'directory' | 'link' | 'release') {
  const dir = join(await temporaryDirectory(), 'payments');
  const other = {
    directory: join(dir, 'current'),
    link: join(dir, '..', 'elsewhere', '1'),
    release: join(dir, 'releases', '1'),
  };
  await mkdir(dir, { recursive: true });
  await mkdir(other[kind], { recursive: true });
  await writeFile(join(other[kind], 'old.jar'), 'old');
  if (kind !== 'directory') await symlink(other[kind], join(dir, 'current'));
  const service = await jarService({
    dir,
    adopt: { path: join(dir, 'current', 'old.jar'), version: 'legacy' },
  });
  return { ...service, files: kind === 'directory' ? join(dir, 'current.before-adopt') : other[kind] };
}

test.each(['directory', 'link', 'release'] as const)(
  'adopt takes over a `current` that is a foreign %s, and keeps its files',
  async (kind) => {
    const { dir, jar, prepare, files } = await foreign(kind);
    expect(await jar.inspect()).toEqual([]);
    expect(await jar.adopt(calm)).toBe('legacy');
    expect(await readlink(join(dir, 'current'))).toBe('releases/legacy');
    expect(await readFile(join(dir, 'current', 'payments.jar'), 'utf8')).toBe('old');
    expect(await readFile(join(files, 'old.jar'), 'utf8')).toBe('old');
    await prepare('1.4.2');
    await jar.switchTo('1.4.2');
    expect(await jar.adopt(calm)).toBeNull();
    expect(await jar.current()).toBe('1.4.2');
    proved('way-back', `a foreign ${kind}: taken over`);
  },
);

test('adopt goes on after a kill between the renaming of a directory and the new link', async () => {
  const { dir, jar } = await foreign('directory');
  await jar.adopt(calm);
  await rm(join(dir, 'current'));
  expect(await jar.adopt(calm)).toBe('legacy');
  expect(await jar.current()).toBe('legacy');
});

test('a foreign `current` that does not contain what is to be adopted stays as it is, with a hint that names adopt', async () => {
  const dir = join(await temporaryDirectory(), 'payments');
  await mkdir(join(dir, 'current'), { recursive: true });
  await writeFile(join(dir, 'other.jar'), 'other');
  const { jar, prepare } = await jarService({
    dir,
    adopt: { path: join(dir, 'other.jar'), version: 'legacy' },
  });
  expect(await jar.adopt(calm)).toBeNull();
  const hint = expect.stringContaining('`adopt`');
  await expect(prepare('1')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT', hint });
  expect(await jar.inspect()).toMatchObject([{ ok: false, hint }]);
  await rm(join(dir, 'current'), { recursive: true });
  await symlink('/nowhere/at/all', join(dir, 'current'));
  expect(await jar.adopt(calm)).toBeNull();
  const gone = expect.stringContaining('does not exist');
  await expect(prepare('1')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT', hint: gone });
});

test('what lies in the place of its own release gets only a record; what a copy would replace is refused', async () => {
  const dir = join(await temporaryDirectory(), 'payments');
  const release = join(dir, 'releases', '1');
  await mkdir(release, { recursive: true });
  for (const name of ['payments.jar', 'start.sh']) await writeFile(join(release, name), name);
  await symlink('releases/1', join(dir, 'current'));
  const wrong = await jarService({ dir, adopt: { path: join(release, 'start.sh'), version: '1' } });
  await expect(wrong.jar.adopt(calm)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  expect(await wrong.jar.inspect()).toMatchObject([
    { ok: false, hint: expect.stringContaining('`version`') },
  ]);
  const right = await jarService({ dir, adopt: { path: join(release, 'payments.jar'), version: '1' } });
  expect(await right.jar.adopt(calm)).toBe('1');
  expect((await readdir(release)).sort()).toEqual(['.release.json', 'payments.jar', 'start.sh']);
  expect(await right.jar.current()).toBe('1');
});
