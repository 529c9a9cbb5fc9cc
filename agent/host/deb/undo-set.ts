import { readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { TriggerDeployError } from '../../../shared/errors.ts';
import {
  fsyncDirectory,
  ignoreCode,
  lstatIfAny,
  makeDirectories,
  makeNew,
  readNoFollow,
  syncTree,
  writeDurably,
} from '../fs/durable-files.ts';
import { stepOver } from '../fs/leftovers.ts';
import { inStaging, placesOf } from '../releases/staging.ts';
import { debsIn } from './contents.ts';
import { type DebFile, inspectDeb } from './dpkg.ts';

/**
 * What a way back to a version needs besides the version's own release: the packages that a later version moved, as
 * they were before. In `DIR/undo/VERSION`, or in `DIR/undo/.none` where no version was installed before.
 */
export interface UndoSet {
  debs: DebFile[];
  /** The companions that were not installed. */
  absent: string[];
}

const NONE: UndoSet = { debs: [], absent: [] };
const RECORD = 'undo.json';
const RECORD_LIMIT = 16 * 1024; // bytes
const undoRecord = z.looseObject({ v: z.literal(1), absent: z.array(z.string()) });

const placeOf = (dir: string, version: string | null) => join(dir, 'undo', version ?? '.none');

/** The undo set of `version`; an empty one if there is none. */
export async function readUndoSet(
  dir: string,
  version: string | null,
  signal: AbortSignal,
): Promise<UndoSet> {
  const place = placeOf(dir, version);
  const text = await readNoFollow(join(place, RECORD), RECORD_LIMIT);
  if (text === undefined) return NONE;
  const { absent } = parseRecord(text.toString('utf8'), place);
  const files = await debsIn(place);
  const debs = await Promise.all(files.map((file) => inspectDeb(file, basename(file), signal)));
  return { debs, absent };
}

function parseRecord(text: string, place: string) {
  try {
    return undoRecord.parse(JSON.parse(text));
  } catch (cause) {
    throw new TriggerDeployError('RELEASE_INCOMPLETE', `${place}/${RECORD} is damaged`, {
      cause,
      hint: `remove ${place}, install the packages that the version needs by hand, then deploy again`,
    });
  }
}

/**
 * Replaces the undo set of `version` by one with `files`, which it moves. A reader finds the old set, the new one or
 * none. `staging` is a directory on the same file system.
 */
export async function writeUndoSet(
  dir: string,
  version: string | null,
  { files, absent }: { files: readonly string[]; absent: readonly string[] },
  staging: string,
): Promise<void> {
  const place = placeOf(dir, version);
  const isEmpty = files.length === 0 && absent.length === 0;
  if (isEmpty && !(await lstatIfAny(place))) return;
  await makeDirectories(join(dir, 'undo'), 0o755);
  const staged = join(staging, 'undo');
  if (!isEmpty) {
    await makeNew(staged, 0o755);
    for (const file of files) await rename(file, join(staged, basename(file)));
    await writeDurably(join(staged, RECORD), JSON.stringify({ v: 1, absent }), 0o644);
    await syncTree(staged);
  }
  if (await lstatIfAny(place)) await rename(place, join(staging, 'replaced'));
  if (!isEmpty) await rename(staged, place);
  await fsyncDirectory(join(dir, 'undo'));
}

/** Puts away the undo sets of versions that have no release any more; they are deleted in the background. */
export async function pruneUndoSets(
  dir: string,
  hasRelease: (version: string) => Promise<boolean>,
): Promise<void> {
  const names = await readdir(join(dir, 'undo')).catch(ignoreCode('ENOENT', [] as string[]));
  const old: string[] = [];
  for (const name of names) if (name !== '.none' && !(await hasRelease(name))) old.push(name);
  if (old.length === 0) return;
  await inStaging(placesOf(dir), async (staging) => {
    for (const name of old) {
      const place = join(dir, 'undo', name);
      await stepOver(place, () => rename(place, join(staging, name)));
    }
    await fsyncDirectory(join(dir, 'undo'));
  });
}
