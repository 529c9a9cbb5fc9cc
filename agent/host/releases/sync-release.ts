import { statfs } from 'node:fs/promises';
import { release as kernelRelease } from 'node:os';
import { orAborted } from '../../../shared/abort.ts';
import { syncTree, systemCode, systemError, walkTree } from '../fs/durable-files.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';

/**
 * From this number of entries on, one syncfs(2) takes the place of an fsync(2) for each. It also writes what other
 * programs have not synced yet, so a release of few files does without.
 */
const WHOLE_FROM = 500;
/** Where syncfs(2) reports each failed write: not on overlay, network and FUSE file systems. statfs(2) has the numbers. */
const REPORTING = new Set([
  0xef53, // ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x01021994, // tmpfs
]);
const SYNC_TIMEOUT_MS = 60_000;
/** Failed writes, as sync(1) names them with `LC_ALL=C`. */
const WRITE_FAILURES = {
  'Input/output error': 'EIO',
  'No space left on device': 'ENOSPC',
  'Disk quota exceeded': 'EDQUOT',
  'Read-only file system': 'EROFS',
} as const;

export interface SyncOptions {
  wholeFrom?: number | undefined;
  run?: RunCommand | undefined;
  fileByFile?: typeof syncTree;
}

/**
 * Syncs `root`, which nobody writes to any more, and everything below it; on disk when it resolves. A large release is
 * synced together with its file system, by sync(1), if that reports every failed write; otherwise file by file.
 * @throws the system error of a failed write; the reason of `signal`.
 */
export async function syncRelease(
  root: string,
  signal: AbortSignal,
  { wholeFrom = WHOLE_FROM, run = runCommand, fileByFile = syncTree }: SyncOptions = {},
): Promise<void> {
  const isWhole = (await hasEntries(root, wholeFrom)) && (await syncFileSystem(root, signal, run));
  signal.throwIfAborted();
  if (!isWhole) await fileByFile(root, signal);
}

async function hasEntries(root: string, count: number): Promise<boolean> {
  let found = 0;
  if (count <= 0) return true;
  for await (const _entry of walkTree(root)) {
    found += 1;
    if (found >= count) return true;
  }
  return false;
}

/** Returns whether all of the file system is on disk; false if this machine cannot tell. */
async function syncFileSystem(root: string, signal: AbortSignal, run: RunCommand): Promise<boolean> {
  if (!reportsFailedWrites(kernelRelease()) || !REPORTING.has((await statfs(root)).type)) return false;
  const options = { signal, timeout: SYNC_TIMEOUT_MS, env: { LC_ALL: 'C' } };
  const sync = (...words: string[]) => orAborted(run(['sync', ...words], options), signal);
  try {
    // Other implementations lack `-f`, or ignore that syncfs(2) fails.
    const { stdout } = await sync('--version');
    if (!/^sync \(GNU coreutils\)/.test(stdout)) return false;
    const { exitCode, output } = await sync('-f', '--', root);
    if (exitCode === 0) return true;
    const failure = Object.entries(WRITE_FAILURES).find(([text]) => output.trimEnd().endsWith(text));
    if (failure) throw systemError(failure[1], `sync -f ${root}: ${failure[0]}`);
    return false;
  } catch (error) {
    signal.throwIfAborted();
    if (systemCode(error) !== undefined) throw error;
    // sync(1) is missing.
    return false;
  }
}

/** Since Linux 5.8 syncfs(2) returns an error if any write of the file system has failed. */
export function reportsFailedWrites(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 8);
}
