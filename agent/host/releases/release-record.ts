import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { artifact } from '../../../shared/manifest.ts';
import { RECORD_NAME, versionName } from '../../../shared/names.ts';
import { createNew, lstatIfAny, readNoFollow, writeDurably } from '../fs/durable-files.ts';
import type { Places } from './staging.ts';

const RECORD_LIMIT = 256 * 1024; // bytes
const MODE = 0o644;

const releaseRecord = z.looseObject({
  v: z.literal(1),
  version: versionName,
  /** Empty for an adopted release. */
  artifacts: z.array(artifact),
  preparedAt: z.iso.datetime(),
  /** Missing in the records of version 0.1. `files`: the largest. */
  shape: z
    .object({
      entries: z.number().int().nonnegative(),
      files: z.array(z.object({ path: z.string(), size: z.number().int().nonnegative() })),
    })
    .optional(),
});
export type ReleaseRecord = z.infer<typeof releaseRecord>;

/**
 * `sum` is the checksum of the other fields. Without it, a damaged digest in the file would look like another release
 * of the same version, a RELEASE_CONFLICT that no deployment repairs.
 */
const summed = z.looseObject({ sum: z.string() });

/** The record of the release `version` in `directory`; undefined if the release is incomplete. */
export async function readRecord(directory: string, version: string): Promise<ReleaseRecord | undefined> {
  try {
    const text = await readNoFollow(join(directory, RECORD_NAME), RECORD_LIMIT);
    const { sum, ...rest } = summed.parse(JSON.parse(text?.toString('utf8') ?? ''));
    if (sum !== sumOf(rest)) return undefined;
    const record = releaseRecord.parse(rest);
    return record.version === version ? record : undefined;
  } catch {
    return undefined;
  }
}

/** The record of a published release; undefined if the release is missing or incomplete. */
export async function recordOf(places: Places, version: string): Promise<ReleaseRecord | undefined> {
  if (!versionName.safeParse(version).success) return undefined;
  const directory = await lstatIfAny(places.release(version));
  return directory?.isDirectory() ? readRecord(places.release(version), version) : undefined;
}

export async function writeRecord(directory: string, record: ReleaseRecord): Promise<void> {
  await writeDurably(join(directory, RECORD_NAME), textOf(record), MODE);
}

/** Writes the record of a staged release, which is then synced as a whole. */
export async function writeStagedRecord(directory: string, record: ReleaseRecord): Promise<void> {
  const path = join(directory, RECORD_NAME);
  await rm(path, { force: true });
  const handle = await createNew(path, MODE);
  try {
    await handle.writeFile(textOf(record));
  } finally {
    await handle.close();
  }
}

function textOf(record: ReleaseRecord): string {
  return `${JSON.stringify({ ...record, sum: sumOf(record) }, undefined, 2)}\n`;
}

function sumOf(record: object): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex').slice(0, 16);
}
