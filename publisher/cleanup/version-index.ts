import { parseBoundedJson } from '../../shared/bounded-json.ts';
import { versionIndex } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { compareAndSwap } from '../record/compare-and-swap.ts';
import { nonce } from '../record/objects.ts';
import type { Session } from '../session.ts';

/** Removes versions from the index of a service that do not exist any more. It is a cache: one that cannot be read is left. */
export async function forgetInIndex(
  { record, clock }: Session,
  service: string,
  versions: ReadonlySet<string>,
): Promise<void> {
  const { objects } = record;
  await compareAndSwap(objects, {
    key: keys.index(service),
    read: () => objects.read(keys.index(service)),
    async next(stored) {
      const parsed = stored && versionIndex.safeParse(tryParse(stored.text));
      if (!parsed?.success) return { value: undefined };
      const { pushes } = parsed.data;
      const left: typeof pushes = [];
      for (const push of pushes) {
        // One that was kept after all is still there.
        const isThere =
          !versions.has(push.version) || (await objects.exists(keys.manifest(service, push.version)));
        if (isThere) left.push(push);
      }
      if (left.length === pushes.length) return { value: undefined };
      return { body: JSON.stringify({ ...parsed.data, nonce: nonce(), pushes: left }), value: undefined };
    },
    attempts: 40,
    backoff: { first: 20, longest: 500, clock },
  });
}

function tryParse(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}
