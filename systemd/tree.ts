import { constants } from 'node:fs';
import { chmod, copyFile, lutimes, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './bundle.ts';

/** The files of a package before it is one: what lies where, with which mode, on no particular day. */

export interface File {
  mode: number;
  content: Buffer | { copyOf: string };
}
/** By path, absolute on the instance. */
export type Tree = Map<string, File>;

/** Every file of every package is of this time (s): the same sources give the same bytes, whenever they are built. */
export const EPOCH = Number(process.env.SOURCE_DATE_EPOCH ?? 1_767_225_600); // 2026-01-01

export const text = (content: string, mode = 0o644): File => ({ mode, content: Buffer.from(content) });
export const copy = (path: string, mode = 0o644): File => ({ mode, content: { copyOf: join(root, path) } });

/** `{version}` in the source stands for the version. */
export async function template(path: string, version: string, mode = 0o644): Promise<File> {
  return text((await readFile(join(root, path), 'utf8')).replaceAll('{version}', version), mode);
}

/** Policy 12.1: manual pages are compressed, without name and time. */
export async function manualPage(path: string, version: string): Promise<File> {
  const { content } = await template(path, version);
  return { mode: 0o644, content: gzipSync(content as Buffer, { level: 9 }) };
}

export async function writeTree(tree: Tree, directory: string): Promise<void> {
  for (const [path, { mode, content }] of tree) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    if (Buffer.isBuffer(content)) await writeFile(target, content);
    else await copyFile(content.copyOf, target, constants.COPYFILE_FICLONE);
    await chmod(target, mode);
  }
  await settle(directory);
}

/** Modes of directories and all times, whatever umask and clock of the machine that builds. */
async function settle(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await settle(path);
    else await lutimes(path, EPOCH, EPOCH);
  }
  await chmod(directory, 0o755);
  await lutimes(directory, EPOCH, EPOCH);
}
