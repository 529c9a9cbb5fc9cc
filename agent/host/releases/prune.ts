import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncDirectory, lstatIfAny } from '../fs/durable-files.ts';
import { stepOver } from '../fs/leftovers.ts';
import { readCurrentLink } from './current-link.ts';
import { namesWithOpenFiles } from './open-files.ts';
import type { ReleaseRecord } from './release-record.ts';
import { inStaging, type Places } from './staging.ts';

/** So many of the newest releases always stay. A JVM whose jar is removed fails later, when it loads another class. */
const KEPT_AT_LEAST = 3;
/** Beyond `keep`, so many releases stay because processes use their files. More would let any local user fill the disk. */
const HELD_AT_MOST = 3;

/** What `prune` of a package type does: see ports.ts. */
export async function pruneReleases(
  places: Places,
  records: readonly ReleaseRecord[],
  {
    keep,
    protectedVersions,
    signal,
  }: { keep: number; protectedVersions: ReadonlySet<string>; signal: AbortSignal | undefined },
): Promise<string[]> {
  const newestFirst = records.toSorted((a, b) => (a.preparedAt < b.preparedAt ? 1 : -1));
  const old = newestFirst
    .slice(Math.max(keep, KEPT_AT_LEAST))
    .map(({ version }) => version)
    .filter((version) => !protectedVersions.has(version));
  // Even with nothing to remove: an agent that was killed may have left files in the staging directory.
  if (old.length === 0 && !(await lstatIfAny(places.staging))) return [];
  const current = await readCurrentLink(places);
  const used = old.length === 0 ? new Set<string>() : await namesWithOpenFiles(places.releases);
  const held = old.filter((version) => version !== current && used.has(version));
  const spared = new Set([current, ...held.slice(0, HELD_AT_MOST)]);
  const removed: string[] = [];
  await inStaging(places, async (staging) => {
    for (const version of old.filter((one) => !spared.has(one))) {
      // A rename removes the release in one step: a partly removed release is never visible.
      const aside = join(staging, version);
      // Whoever waited has left: by now a newer deployment may need this release.
      signal?.throwIfAborted();
      const release = places.release(version);
      if (!(await stepOver(release, () => rename(release, aside)))) continue;
      removed.push(version);
      await fsyncDirectory(places.releases);
    }
  });
  return removed;
}
