import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../shared/errors.ts';
import { ignoreCode, isTemporaryOf } from './durable-files.ts';
import { removeTree } from './remove-tree.ts';

/**
 * Removes what an earlier work left behind. A leftover that cannot be removed (an immutable file, a mount point, another
 * user's directory) is told once and stepped over: it never stops what the agent has to do.
 */

type Tell = (leftover: { path: string; error: unknown }) => void;

let tell: Tell = () => {};
/** What was told, so that a leftover that stays is told once, and again only for another reason. */
const told = new Map<string, string>();
const TOLD_AT_MOST = 1000;

/** Leftovers that cannot be removed are told to `listener` from now on. A process has one listener. */
export function onLeftover(listener: Tell): void {
  told.clear();
  tell = listener;
}

/** Removes a file, a link or a tree, if it exists; see `removeTree`. Returns whether it is gone. Never throws. */
export async function removeLeftover(path: string, pace?: () => Promise<void>): Promise<boolean> {
  return await stepOver(path, () => removeTree(path, { pace }).catch(ignoreCode('ENOENT', undefined)));
}

/** Runs `work`, which is to clean up `path`. Returns whether it succeeded; a failure is told. Never throws. */
export async function stepOver(path: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    told.delete(path);
    return true;
  } catch (error) {
    tellLeftover(path, error);
    return false;
  }
}

export function tellLeftover(path: string, error: unknown): void {
  const why = messageOf(error);
  if (told.get(path) === why) return;
  if (told.size >= TOLD_AT_MOST) told.clear();
  told.set(path, why);
  tell({ path, error });
}

/** Removes temporary files that a killed `writeDurably` or `pointAt` of `path` left. Never throws. */
export async function sweepTemporaries(path: string): Promise<void> {
  const directory = dirname(path);
  let names: string[] = [];
  await stepOver(directory, async () => {
    names = await readdir(directory).catch(ignoreCode('ENOENT', [] as string[]));
  });
  for (const name of names.filter((name) => isTemporaryOf(path, name))) {
    const temporary = join(directory, name);
    // Not `removeTree`: a directory of this name is not a temporary file of the agent.
    await stepOver(temporary, () => rm(temporary, { force: true }));
  }
}
