import { createHash, hash } from 'node:crypto';
import { lstat, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { RECORD_NAME } from '../../../shared/names.ts';
import { openNoFollow, walkTree } from '../fs/durable-files.ts';

const CHUNK = 1024 * 1024; // bytes

/**
 * One sha256 over everything below `root` that matters at run time: names, kinds, executable bits, file contents, link
 * targets. The release record does not count.
 */
export async function treeDigest(root: string, signal: AbortSignal): Promise<string> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  // Only the digest of each entry is kept: there may be many long names.
  const digests: string[] = [];
  for await (const entry of walkTree(root)) {
    signal.throwIfAborted();
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (name === RECORD_NAME) continue;
    digests.push(hash('sha256', JSON.stringify([name, ...(await describe(path, buffer))]), 'base64'));
  }
  const whole = createHash('sha256');
  for (const digest of digests.sort()) whole.update(digest);
  return whole.digest('hex');
}

async function describe(path: string, buffer: Buffer): Promise<string[]> {
  const stat = await lstat(path);
  if (stat.isDirectory()) return ['directory'];
  if (stat.isSymbolicLink()) return ['link', await readlink(path)];
  if (stat.isFile()) return ['file', (stat.mode & 0o111) === 0 ? '' : 'x', await fileDigest(path, buffer)];
  return ['other'];
}

/** The sha256 of a regular file, in hex. `buffer` can be reused for many files. */
export async function fileDigest(path: string, buffer: Buffer = Buffer.allocUnsafe(CHUNK)): Promise<string> {
  const handle = await openNoFollow(path);
  try {
    const sum = createHash('sha256');
    for (let position = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return sum.digest('hex');
      sum.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
