import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  createNew,
  freeSpace,
  openNoFollow,
  pointAt,
  readNoFollow,
  writeDurably,
} from '../../../../../agent/host/fs/durable-files.ts';
import { sweepTemporaries } from '../../../../../agent/host/fs/leftovers.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

const modeOf = async (path: string) => (await lstat(path)).mode & 0o7777;

test('a file is replaced whole, with exactly its mode, and nothing else is left', async () => {
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  const path = join(await temporaryDirectory(), 'state');
  await writeDurably(path, 'old');
  expect(await modeOf(path)).toBe(0o600);
  await writeDurably(path, 'new', 0o644);
  expect(await readFile(path, 'utf8')).toBe('new');
  expect(await modeOf(path)).toBe(0o644);
  expect(await namesBelow(join(path, '..'))).toEqual(['state']);
});

test('a file that cannot be replaced is unchanged, and no temporary file is left', async () => {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'state'));
  await writeFile(join(directory, 'state', 'inside'), '');
  await expect(writeDurably(join(directory, 'state'), 'new')).rejects.toMatchObject({ code: 'EISDIR' });
  expect(await namesBelow(directory)).toEqual(['state', 'state/inside']);
});

test('a link replaces an older one', async () => {
  const directory = await temporaryDirectory();
  const link = join(directory, 'current');
  await pointAt(link, 'releases/1');
  await pointAt(link, 'releases/2');
  expect(await readlink(link)).toBe('releases/2');
  expect(await namesBelow(directory)).toEqual(['current']);
});

test('temporary files of a killed write are removed, and no others', async () => {
  const directory = await temporaryDirectory();
  for (const name of ['.a.0123456789abcdef.new', '.b.0123456789abcdef.new', 'a', '.a.mine.new']) {
    await writeFile(join(directory, name), '');
  }
  await sweepTemporaries(join(directory, 'a'));
  expect(await namesBelow(directory)).toEqual(['.a.mine.new', '.b.0123456789abcdef.new', 'a']);
  await sweepTemporaries(join(directory, 'nowhere', 'a'));
});

test('a new file never replaces an existing one, and is never created through a link', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'there'), 'mine');
  await symlink('elsewhere', join(directory, 'link'));
  await expect(createNew(join(directory, 'there'), 0o600)).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(createNew(join(directory, 'link'), 0o600)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await namesBelow(directory)).toEqual(['link', 'there']);
});

test('neither a link nor a FIFO is opened for reading, and neither blocks the reader', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'file'), 'text');
  await symlink('file', join(directory, 'link'));
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  await expect(openNoFollow(join(directory, 'link'))).rejects.toMatchObject({ code: 'ELOOP' });
  await expect(openNoFollow(join(directory, 'fifo'))).rejects.toMatchObject({ code: 'EINVAL' });
  await expect(openNoFollow(directory)).rejects.toMatchObject({ code: 'EINVAL' });
});

test('reading stops at the limit, and a missing file reads as undefined', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'file'), '0123456789');
  expect((await readNoFollow(join(directory, 'file'), 4))?.toString()).toBe('0123');
  expect(await readNoFollow(join(directory, 'none'), 4)).toBeUndefined();
});

test('free space is returned in bytes and inodes', async () => {
  const { bytes, inodes } = await freeSpace(await temporaryDirectory());
  expect(bytes).toBeGreaterThan(0);
  expect(inodes).toBeGreaterThan(0);
});
