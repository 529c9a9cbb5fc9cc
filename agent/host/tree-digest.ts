import { createHash } from 'node:crypto';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { openNoFollow } from './files.ts';
import { RECORD_NAME } from './release-record.ts';

const CHUNK = 1024 * 1024; // bytes

/**
 * One sha256 over everything below `root` that matters to what runs there: names, kinds, executable or not,
 * contents, targets of links. The release's own record is left out.
 */
export async function treeDigest(root: string, signal: AbortSignal): Promise<string> {
  const lines: string[] = [];
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    signal.throwIfAborted();
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (name === RECORD_NAME) continue;
    lines.push(JSON.stringify([name, ...(await describe(path))]));
  }
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

async function describe(path: string): Promise<string[]> {
  const stat = await lstat(path);
  if (stat.isDirectory()) return ['directory'];
  if (stat.isSymbolicLink()) return ['link', await readlink(path)];
  if (stat.isFile()) return ['file', (stat.mode & 0o111) === 0 ? '' : 'x', await fileDigest(path)];
  return ['other'];
}

/** The sha256 of a regular file, in hex. */
export async function fileDigest(path: string): Promise<string> {
  const handle = await openNoFollow(path);
  try {
    return await handleDigest(handle);
  } finally {
    await handle.close();
  }
}

/** The sha256 of what is open, in hex: of that very file, whatever its name may point at by now. */
export async function handleDigest(
  handle: Awaited<ReturnType<typeof openNoFollow>>,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let position = 0; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK, position);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
