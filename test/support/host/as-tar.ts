import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { removeTree } from '../../../agent/host/fs/remove-tree.ts';
import { unpack } from '../../../agent/host/releases/unpack.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** What an archive becomes: by `tar -x` of GNU tar, and by the agent. */

export type Tree = Record<string, string>;

/** Names, types, modes, contents, link targets, and which names are one file. `narrowed`: with the modes of a release. */
async function treeOf(root: string, narrowed: boolean): Promise<Tree> {
  const tree: Tree = {};
  const inodes = new Map<number, string>();
  const names = (await readdir(root, { recursive: true })).sort();
  for (const name of ['.', ...names]) {
    const path = join(root, name);
    const stat = await lstat(path);
    const packed = stat.mode & 0o7777;
    const mode = (fixed: number) => (narrowed ? (packed & 0o755) | fixed : packed).toString(8);
    const first = inodes.get(stat.ino);
    inodes.set(stat.ino, first ?? name);
    if (stat.isDirectory()) tree[name] = name === '.' ? 'directory' : `directory ${mode(0o700)}`;
    else if (first !== undefined) tree[name] = `same as ${relative('/', join('/', first))}`;
    else if (stat.isSymbolicLink()) tree[name] = `-> ${await readlink(path)}`;
    else if (stat.isFile()) tree[name] = `${mode(0o400)} ${await digestOf(path, stat.size)}`;
    else tree[name] = 'other';
  }
  return tree;
}

/** A file may be gigabytes of holes: of a large one, only both ends are read. */
async function digestOf(path: string, size: number): Promise<string> {
  if (size <= LARGE) return hash('sha256', await readFile(path));
  await using handle = await open(path);
  const piece = Buffer.alloc(2 ** 20);
  await handle.read(piece, 0, piece.length, 0);
  const first = hash('sha256', piece);
  await handle.read(piece, 0, piece.length, size - piece.length);
  return `${size} bytes, ${first} to ${hash('sha256', piece)}`;
}
const LARGE = 2 ** 26;

/** The tree that GNU tar makes, and whether it fails. Warnings are no failure. */
export async function byTar(archive: string, into: string): Promise<{ tree: Tree; failed: boolean }> {
  await removeTree(into);
  await mkdir(into);
  const { status } = spawnSync('tar', ['-xpf', archive, '-C', into, '--no-same-owner'], {
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    timeout: 60_000,
  });
  return { tree: await treeOf(into, true), failed: status !== 0 };
}

/** NO_SPACE: a few bytes can tell of a sparse file that is larger than the disk. */
const REFUSALS = new Set<string>(['ARCHIVE_UNSAFE', 'PACKAGE_INVALID', 'NO_SPACE']);

/** The tree that the agent makes, or the code of its refusal. @throws what is no refusal. */
export async function byAgent(archive: string, into: string): Promise<Tree | string> {
  await removeTree(into);
  await mkdir(into);
  try {
    const signal = AbortSignal.timeout(60_000);
    await unpack(archive, into, { name: 'a.tar', allowsLink: () => false, signal });
  } catch (error) {
    if (!(error instanceof TriggerDeployError)) throw error;
    if (!REFUSALS.has(error.code)) throw error;
    return `${error.code} ${error.message}`;
  }
  return await treeOf(into, false);
}

interface Compared {
  tar: Tree | undefined;
  agent: Tree | string;
}

/** Unpacks the archive with both, below `directory`. */
export async function compared(directory: string, bytes: Buffer): Promise<Compared> {
  const archive = join(directory, 'archive');
  await writeFile(archive, bytes);
  const { tree, failed } = await byTar(archive, join(directory, 'tar'));
  return { tar: failed ? undefined : tree, agent: await byAgent(archive, join(directory, 'agent')) };
}
