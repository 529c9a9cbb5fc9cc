import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { Artifact } from '../../../shared/manifest.ts';
import { timeSpan } from '../../../shared/spans.ts';
import { fsyncDirectory, lstatIfAny, systemCode } from '../fs/durable-files.ts';
import { type ReleaseRecord, writeStagedRecord } from './release-record.ts';
import type { Places } from './staging.ts';
import { syncRelease } from './sync-release.ts';
import { shapeOf } from './wholeness.ts';

export function newRecord(version: string, artifacts: readonly Artifact[]): ReleaseRecord {
  return { v: 1, version, artifacts: [...artifacts], preparedAt: new Date().toISOString() };
}

/**
 * Completes the staged release with its record, syncs both, and moves them into place. A work that was abandoned while its
 * files were synced publishes nothing: by then a newer one may have made and started this release.
 */
export async function publish(
  places: Places,
  staging: string,
  record: ReleaseRecord,
  { signal, syncFrom }: { signal: AbortSignal; syncFrom: number | undefined },
): Promise<void> {
  const staged = join(staging, 'release');
  const place = places.release(record.version);
  await writeStagedRecord(staged, { ...record, shape: await shapeOf(staged) });
  await timeSpan('sync', () => syncRelease(staged, signal, { wholeFrom: syncFrom }));
  const existing = await lstatIfAny(place);
  signal.throwIfAborted();
  if (existing) await putAside(place, join(staging, 'replaced'));
  await rename(staged, place);
  await timeSpan('sync', () => fsyncDirectory(places.releases));
}

async function putAside(place: string, aside: string): Promise<void> {
  try {
    await rename(place, aside);
  } catch (cause) {
    if (systemCode(cause) === 'ENOSPC' || systemCode(cause) === 'EROFS') throw cause;
    throw new TriggerDeployError('RELEASE_CONFLICT', `${place} cannot be replaced: ${messageOf(cause)}`, {
      cause,
      hint: `see lsattr -d and mount for the reason, then remove ${place}`,
    });
  }
}
