import { TriggerDeployError } from '../../../shared/errors.ts';
import { freeSpace, ignoreCode, systemCode } from './durable-files.ts';
import { untilSwept } from './sweeper.ts';

/** Space for records, directories and links, bytes: required in addition to the requested space. */
const SPACE_MARGIN = 1024 * 1024;

export interface Space {
  bytes: number;
  inodes: number;
}

/**
 * Checks that `directory` has the space for `what`. Where it lacks, waits for what is being deleted.
 * @throws NO_SPACE, which tells the required and the free space; the reason of `signal`.
 */
export async function assertSpace(
  directory: string,
  needed: Space,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  let free: Space = { bytes: 0, inodes: 0 };
  const isEnough = async () => {
    free = await freeSpace(directory);
    return free.bytes >= needed.bytes + SPACE_MARGIN && free.inodes >= needed.inodes;
  };
  if (await untilSwept(isEnough, signal)) return;
  if (free.bytes < needed.bytes + SPACE_MARGIN) {
    throw noSpace(
      `${what} needs ${formatBytes(needed.bytes + SPACE_MARGIN)} in ${directory}, ${formatBytes(free.bytes)} are free`,
    );
  }
  throw noSpace(`${what} needs ${needed.inodes} inodes in ${directory}, ${free.inodes} are free`);
}

/**
 * Runs `work`, which writes below `directory`. Where the file system runs full although something was being deleted,
 * runs it once more when that is gone. @throws what `work` throws, as NO_SPACE where it is that.
 */
export async function withSpace<T>(
  directory: string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const free = () => freeSpace(directory).catch(ignoreCode('ENOENT', undefined));
  const before = await free();
  try {
    return await work().catch(async (error: unknown) => {
      if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') throw error;
      await untilSwept(async () => false, signal);
      const after = await free();
      const isMore =
        before && after && (after.bytes > before.bytes + SPACE_MARGIN || after.inodes > before.inodes);
      if (!isMore) throw error;
      return await work();
    });
  } catch (error) {
    throw asNoSpace(error, directory);
  }
}

/** Converts a system error of a full or read-only file system to NO_SPACE; returns any other unchanged. */
export function asNoSpace(error: unknown, directory: string): unknown {
  switch (systemCode(error)) {
    case 'ENOSPC':
      return noSpace(`the file system of ${directory} is full (bytes or inodes)`, error);
    case 'EDQUOT':
      return noSpace(`the disk quota of ${directory} is used up`, error);
    case 'EROFS':
      return noSpace(
        `the file system of ${directory} is read-only`,
        error,
        'see dmesg for the reason, then remount it',
      );
    default:
      return error;
  }
}

function noSpace(
  message: string,
  cause?: unknown,
  hint = 'free space, then deploy again',
): TriggerDeployError {
  return new TriggerDeployError('NO_SPACE', message, { cause, hint });
}

/** `12 B`, `3.4 MiB`. */
function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
