import { chmod, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assertOwned, inspectServiceDirectory } from '../../../../../agent/host/releases/ownership.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

async function serviceDirectory() {
  const parent = join(await temporaryDirectory(), 'opt');
  const dir = join(parent, 'payments');
  await mkdir(dir, { recursive: true });
  await chmod(parent, 0o755);
  await chmod(dir, 0o755);
  return { parent, dir };
}

const problems = async (dir: string, user?: string) =>
  (await inspectServiceDirectory(dir, user)).map(({ what }) => what);

test('a directory that only the agent can write to is accepted, and so is a missing one', async () => {
  const { dir } = await serviceDirectory();
  expect(await inspectServiceDirectory(dir)).toEqual([]);
  expect(await inspectServiceDirectory(join(dir, 'not', 'yet'))).toEqual([]);
});

test('a directory that everyone or its group can write to is rejected, with a hint', async () => {
  const { dir } = await serviceDirectory();
  await chmod(dir, 0o777);
  expect(await inspectServiceDirectory(dir)).toEqual([
    { ok: false, what: `${dir} can be written by everyone`, hint: `chmod go-w ${dir}` },
  ]);
  await chmod(dir, 0o1777);
  expect(await problems(dir)).toEqual([`${dir} can be written by everyone`]);
  await chmod(dir, 0o775);
  expect(await problems(dir)).toEqual([`${dir} can be written by its group`]);
});

test('a parent that other users can write to is rejected, unless it has the sticky bit', async () => {
  const { parent, dir } = await serviceDirectory();
  await chmod(parent, 0o777);
  expect(await problems(dir)).toEqual([`${parent} can be written by everyone`]);
  await chmod(parent, 0o1777);
  expect(await problems(dir)).toEqual([]);
});

test('a directory reached through a link is inspected at its real path', async () => {
  const { dir } = await serviceDirectory();
  const elsewhere = await temporaryDirectory();
  await symlink(dir, join(elsewhere, 'link'));
  expect(await problems(join(elsewhere, 'link'))).toEqual([]);
  await chmod(join(dir, '..'), 0o777);
  expect(await problems(join(elsewhere, 'link'))).toEqual([`${join(dir, '..')} can be written by everyone`]);
});

test("links in place of the agent's directories are rejected", async () => {
  const { dir } = await serviceDirectory();
  await symlink('/tmp', join(dir, 'releases'));
  await writeFile(join(dir, '.staging'), '');
  expect(await problems(dir)).toEqual([
    `${join(dir, 'releases')} is a symbolic link`,
    `${join(dir, '.staging')} is not a directory`,
  ]);
});

test('releases that other users can write to are rejected', async () => {
  const { dir } = await serviceDirectory();
  await mkdir(join(dir, 'releases'));
  await chmod(join(dir, 'releases'), 0o777);
  expect(await problems(dir)).toEqual([`${join(dir, 'releases')} can be written by everyone`]);
});

test('a file in place of the directory is rejected', async () => {
  const { dir } = await serviceDirectory();
  await writeFile(join(dir, 'file'), '');
  expect(await problems(join(dir, 'file'))).toEqual([`${join(dir, 'file')} is not a directory`]);
});

test('a user that does not exist is reported', async () => {
  const { dir } = await serviceDirectory();
  expect(await problems(dir, 'nobody-at-all')).toEqual(['there is no user nobody-at-all']);
});

test("a directory owned by the service's user is rejected, unless that is root", async () => {
  const { dir } = await serviceDirectory();
  const { username, uid } = userInfo();
  const found = await problems(dir, username);
  if (uid === 0) expect(found).toEqual([]);
  else expect(found).toContain(`${dir} belongs to the service's user, who could change deployed files`);
});

test('every directory on the way of links is inspected, and the owner of a link in a sticky directory', async () => {
  const { dir } = await serviceDirectory();
  const [first, second] = [await temporaryDirectory(), await temporaryDirectory()];
  await symlink(join(second, 'b'), join(first, 'a'));
  await symlink(dir, join(second, 'b'));
  expect(await problems(join(first, 'a'))).toEqual([]);
  await chmod(second, 0o777);
  expect(await problems(join(first, 'a'))).toEqual([`${second} can be written by everyone`]);
  await chmod(second, 0o1777);
  expect(await problems(join(first, 'a'))).toEqual([]);
  if (userInfo().uid !== 0) return;
  await lchown(join(second, 'b'), 65534, 65534);
  expect(await problems(join(first, 'a'))).toEqual([
    `${join(second, 'b')} belongs to the user 65534, not to the agent's user`,
  ]);
});

test('a deployment is refused for the same reasons, but not for a user that does not exist', async () => {
  const { dir } = await serviceDirectory();
  await assertOwned(dir, 'nobody-at-all');
  await writeFile(join(dir, '.staging'), '');
  await assertOwned(dir);
  await mkdir(join(dir, 'releases'), { mode: 0o700 });
  await chmod(join(dir, 'releases'), 0o775);
  await expect(assertOwned(dir)).rejects.toMatchObject({
    code: 'NOT_READY',
    message: `${join(dir, 'releases')} can be written by its group; the agent changes nothing in ${dir}`,
    hint: `chmod go-w ${join(dir, 'releases')}`,
  });
});
