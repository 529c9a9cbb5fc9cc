import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

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
