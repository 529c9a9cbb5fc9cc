import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lchown, lstat, mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { walkTree } from '../../../../../agent/host/fs/durable-files.ts';
import { removeTree } from '../../../../../agent/host/fs/remove-tree.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

/** Another user, who owns directories of the tree. */
const SERVICE = 65534;
const isRoot = process.getuid?.() === 0;

test('removing a tree removes a link in it, and not its target', async () => {
  const directory = await temporaryDirectory();
  const outside = await temporaryDirectory();
  await writeFile(join(outside, 'kept'), '');
  await mkdir(join(directory, 'tree'));
  await symlink(outside, join(directory, 'tree', 'link'));
  await removeTree(join(directory, 'tree'));
  await removeTree(join(directory, 'tree'));
  expect(await namesBelow(directory)).toEqual([]);
  expect(await namesBelow(outside)).toEqual(['kept']);
});

test('what a service wrote under a name that is not UTF-8 is removed with its tree', async () => {
  const tree = join(await temporaryDirectory(), 'tree');
  const odd = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]);
  await mkdir(odd, { recursive: true });
  await writeFile(Buffer.concat([odd, Buffer.from('/'), Buffer.from([0xe4])]), 'x');
  const seen: string[] = [];
  for await (const { parentPath } of walkTree(tree, { isLive: true })) seen.push(parentPath);
  expect(seen).toEqual([tree]);
  await removeTree(tree);
  await expect(lstat(tree)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a directory that becomes a link while the tree is removed does not lead outside', async () => {
  const directory = await temporaryDirectory();
  const outside = await temporaryDirectory();
  await writeFile(join(outside, 'kept'), '');
  const tree = join(directory, 'tree');
  for (const name of ['a', 'b', 'c']) await mkdir(join(tree, name), { recursive: true });
  let entries = 0;
  const swap = async () => {
    entries += 1;
    if (entries !== 2) return;
    for (const name of ['a', 'b', 'c']) {
      await rename(join(tree, name), join(directory, name));
      await symlink(outside, join(tree, name));
    }
  };
  await removeTree(tree, { pace: swap }).catch(() => {});
  expect(await namesBelow(outside)).toEqual(['kept']);
});

test('a directory that is moved away while it is removed does not make a link in its place lead outside', async () => {
  const directory = await temporaryDirectory();
  const outside = await temporaryDirectory();
  const [tree, decoy] = [join(directory, 'tree'), join(outside, 'below')];
  await mkdir(join(tree, 'a', 'below'), { recursive: true });
  await mkdir(decoy);
  for (const name of ['1', '2', '3']) {
    await writeFile(join(tree, 'a', 'below', name), '');
    await writeFile(join(decoy, name), '');
  }
  let entries = 0;
  const swap = async () => {
    entries += 1;
    // The tree, `a` and `below` come first.
    if (entries !== 4) return;
    await rename(join(tree, 'a'), join(directory, 'moved'));
    await symlink(outside, join(tree, 'a'));
  };
  await removeTree(tree, { pace: swap });
  expect(entries).toBeGreaterThanOrEqual(4);
  expect(await namesBelow(outside)).toEqual(['below', 'below/1', 'below/2', 'below/3']);
  await expect(lstat(tree)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a tree of any depth is removed with few open files', async () => {
  const tree = join(await temporaryDirectory(), 'tree');
  await mkdir(tree);
  // Deeper than a path can be long: each level is made from within the one above.
  const program =
    'use strict; mkdir $ARGV[0] or die; chdir $ARGV[0]; for (1..3000) { mkdir "d" or die; chdir "d" }';
  const child = spawn('perl', ['-e', program, join(tree, 'deep')], { stdio: 'ignore' });
  expect(await once(child, 'exit')).toEqual([0, null]);
  let most = 0;
  const count = async () => {
    most = Math.max(most, (await readdir('/proc/self/fd')).length);
  };
  const before = (await readdir('/proc/self/fd')).length;
  await removeTree(tree, { pace: count });
  await expect(lstat(tree)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(most - before).toBeLessThan(200);
});

test('a removal ends after so many entries, and the next one goes on', async () => {
  const tree = join(await temporaryDirectory(), 'tree');
  await mkdir(tree);
  for (let n = 0; n < 10; n += 1) await writeFile(join(tree, `${n}`), '');
  await expect(removeTree(tree, { most: 6 })).rejects.toMatchObject({ code: 'EBUSY' });
  expect(await namesBelow(tree)).toHaveLength(4);
  await removeTree(tree, { most: 6 });
  await expect(lstat(tree)).rejects.toMatchObject({ code: 'ENOENT' });
});

test.skipIf(!isRoot)(
  'a service that creates files in a tree all the time does not hold up its removal',
  async () => {
    const directory = await temporaryDirectory();
    await chmod(directory, 0o755);
    const data = join(directory, 'tree', 'data');
    await mkdir(data, { recursive: true });
    await lchown(data, SERVICE, SERVICE);
    const program =
      'use strict; $| = 1; my ($i, $said) = (0, 0); while ($i < 3e6) { open(my $f, ">", "f" . $i++) or exit 7; print "up" if $i == 1000 }';
    const as = { uid: SERVICE, gid: SERVICE, cwd: data };
    const child = spawn('perl', ['-e', program], { ...as, stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    await removeTree(join(directory, 'tree'));
    expect(await namesBelow(directory)).toEqual([]);
    expect(await ended).toEqual([7, null]);
  },
);
