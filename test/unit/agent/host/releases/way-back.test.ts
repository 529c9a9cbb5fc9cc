import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { jarService } from '../../../../support/host/jars.ts';

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
