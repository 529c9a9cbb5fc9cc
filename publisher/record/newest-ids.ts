import { keys, ulid, ulidOf, ulidTime } from '../../shared/names.ts';
import type { Objects } from './objects.ts';

/**
 * The ids of the deployments of a service, the newest first, in pieces of any length. S3 lists keys from the oldest on,
 * a thousand a request. A history that is longer is read backwards, as far as the caller asks: first the time in which
 * half a thousand deployments can be expected, then four times as much, and so on. Ids that are no ULIDs are left out.
 * With `before`, an id, only those that are older: nothing of what is newer is listed.
 * @throws RECORD_DAMAGED when there are too many; AWS_*.
 */
export async function* newestIds(
  objects: Objects,
  env: string,
  service: string,
  now: () => number, // ms since the epoch
  before?: string,
): AsyncGenerator<string[]> {
  const prefix = keys.deployments(env, service);
  const { names: oldest, more } = await objects.someFolders(prefix);
  const first = idsIn(oldest)
    .filter((id) => before === undefined || id < before)
    .reverse();
  const last = oldest.at(-1) ?? '';
  if (!more || (before !== undefined && before <= last)) {
    yield first;
    return;
  }
  /** Everything from this id on was returned. */
  let until = before;
  const newest = before === undefined ? now : () => Math.min(now(), ulidTime(before));
  for (let span = spanOf(first) / 2; ; span *= 4) {
    const from = ulidOf(newest() - span);
    // Whoever may write reports can make a thousand names that sort before every id: there is no time before the first.
    const isRest = from <= last || span >= newest();
    // "0" follows "/": after each key of the folder.
    const names = await objects.folders(prefix, { after: isRest ? `${last}0` : from, until });
    const ids = idsIn(names);
    yield ids.toReversed();
    if (isRest) break;
    until = ids[0] ?? until;
  }
  yield first;
}

const idsIn = (names: readonly string[]) => names.filter((name) => ulid.safeParse(name).success);

/** From the oldest to the newest of these, at least a minute, ms. */
function spanOf(newestFirst: readonly string[]): number {
  const times = [newestFirst[0], newestFirst.at(-1)].map((id) => (id === undefined ? 0 : ulidTime(id)));
  return Math.max(60_000, (times[0] ?? 0) - (times[1] ?? 0));
}
