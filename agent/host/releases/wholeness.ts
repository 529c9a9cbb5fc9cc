import { lstat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { messageOf } from '../../../shared/errors.ts';
import { releasePlace } from '../../../shared/manifest.ts';
import { RECORD_NAME } from '../../../shared/names.ts';
import { lstatIfAny, walkTree } from '../fs/durable-files.ts';
import type { ReleaseRecord } from './release-record.ts';

/**
 * Whether the files of a release are still there. A service, or a person, may add files to its release and edit its
 * config files; neither makes it less whole.
 */

/** Of so many files the size is looked at, and so many of them are recorded: the largest. */
const MOST_LOOKED_AT = 2000;
const MOST_RECORDED = 16;

export type Shape = NonNullable<ReleaseRecord['shape']>;

/** What the record of a release says of its files. */
export async function shapeOf(release: string): Promise<Shape> {
  let entries = 0;
  const files: Shape['files'] = [];
  for await (const entry of walkTree(release)) {
    const path = join(entry.parentPath, entry.name);
    if (path === join(release, RECORD_NAME)) continue;
    entries += 1;
    if (!entry.isFile() || files.length >= MOST_LOOKED_AT) continue;
    files.push({ path: relative(release, path), size: (await lstat(path)).size });
  }
  return { entries, files: files.sort((a, b) => b.size - a.size).slice(0, MOST_RECORDED) };
}

/** What is missing in a release with this record, as the end of a sentence; undefined if it is whole. */
export async function damageOf(release: string, record: ReleaseRecord): Promise<string | undefined> {
  const { artifacts, shape = { entries: 1, files: [] } } = record;
  const configs = new Set(artifacts.filter(({ role }) => role === 'config').map(releasePlace));
  try {
    for (const { path, size } of shape.files) {
      const file = await lstatIfAny(join(release, path));
      if (!file) return `lacks ${path}`;
      if (file.isFile() && file.size < size && !configs.has(path)) return `has ${path} cut short`;
    }
    let left = shape.entries;
    for await (const entry of walkTree(release, { isLive: true })) {
      if (entry.name === RECORD_NAME && entry.parentPath === release) continue;
      left -= 1;
      if (left <= 0) return undefined;
    }
    return left > 0 ? `lacks ${left} of its ${shape.entries} files and directories` : undefined;
  } catch (error) {
    return `cannot be read: ${messageOf(error)}`;
  }
}
