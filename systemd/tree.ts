import { constants } from 'node:fs';
import { chmod, copyFile, lutimes, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './bundle.ts';

/** The files of a package, before the package is built: path, mode and content. All have the same fixed time. */

export interface File {
  mode: number;
  content: Buffer | { copyOf: string };
}
/** Files by absolute path on the instance. */
export type Tree = Map<string, File>;

/** The time of every file in every package, s since the epoch: the same sources give the same bytes at any time. */
export const EPOCH = Number(process.env.SOURCE_DATE_EPOCH ?? 1_767_225_600); // 2026-01-01

export const text = (content: string, mode = 0o644): File => ({ mode, content: Buffer.from(content) });
export const copy = (path: string, mode = 0o644): File => ({ mode, content: { copyOf: join(root, path) } });

/** Reads a file and replaces `{version}` in it. */
export async function template(path: string, version: string, mode = 0o644): Promise<File> {
  return text(await withVersion(path, version), mode);
}

async function withVersion(path: string, version: string): Promise<string> {
  return (await readFile(join(root, path), 'utf8')).replaceAll('{version}', version);
}

/**
 * Reads a file, replaces `{version}` and `{commands}` in it, and compresses it: Debian policy 12.1 (manual pages) and
 * 12.7 (changelogs). The gzip has neither name nor time.
 */
export async function manualPage(path: string, version: string, commands = ''): Promise<File> {
  const source = await withVersion(path, version);
  return {
    mode: 0o644,
    content: gzipSync(
      source.replace('{commands}', () => commands),
      { level: 9 },
    ),
  };
}

export async function writeTree(tree: Tree, directory: string): Promise<void> {
  for (const [path, { mode, content }] of tree) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    if (Buffer.isBuffer(content)) await writeFile(target, content);
    else await copyFile(content.copyOf, target, constants.COPYFILE_FICLONE);
    await chmod(target, mode);
  }
  await fixModesAndTimes(directory);
}

/** Sets the modes of directories, and all times: the umask and the clock of the machine must not matter. */
async function fixModesAndTimes(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await fixModesAndTimes(path);
    else await lutimes(path, EPOCH, EPOCH);
  }
  await chmod(directory, 0o755);
  await lutimes(directory, EPOCH, EPOCH);
}
