import { ulidTime } from '../../shared/names.ts';
import type { Deployments } from './deployments.ts';
import type { PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';

/** The past deployments of many services, the newest first, page by page. An id is a ULID: it begins with the time. */

export interface PastQuestion {
  services: readonly string[];
  /** At most this many; more only where two services have the same id. */
  limit: number;
  /** Only what began at that time or later, ms since the epoch. A function is called after the first answer of AWS. */
  since?: number | (() => number) | undefined;
  /** Only what is older than this id. */
  before?: string | undefined;
  wanted?: ((one: PastDeployment) => boolean) | undefined;
}

export interface PastPage {
  /** The newest first. */
  deployments: PastDeployment[];
  /** The id to ask for the next page with; undefined at the end. */
  before: string | undefined;
}

/** How many objects are read, and services are listed, at a time. */
const READS = 32;
/** How many deployments a page looks at, at most, unless `limit` is higher: few of them may be wanted. */
const MOST_LOOKS = 1000;

interface Source {
  service: string;
  pieces: AsyncGenerator<string[]>;
  /** The ids that come next, the newest first. */
  next: string[];
  isOver: boolean;
}

/**
 * A page of the past deployments. It lists each service once (one of more than a thousand deployments a few times) and
 * reads some more records than `limit`; 1,000 at most, where fewer are wanted. @throws AWS_*.
 */
export async function pastDeployments(
  deployments: Pick<Deployments, 'ids' | 'pastOrNone'>,
  { services, limit, since = 0, before, wanted = () => true }: PastQuestion,
): Promise<PastPage> {
  const sources = services.map(
    (service): Source => ({
      ...{ service, pieces: deployments.ids(service, before), next: [], isOver: false },
    }),
  );
  let from: number | undefined;
  const fill = async (source: Source) => {
    while (source.next.length === 0 && !source.isOver) {
      const result = await source.pieces.next();
      from ??= typeof since === 'function' ? since() : since;
      const start = from;
      const ids: string[] = result.done ? [] : result.value;
      source.next = ids.filter((id) => ulidTime(id) >= start);
      source.isOver = result.done === true || source.next.length < ids.length;
    }
  };
  await mapLimit(sources, READS, fill);

  /** The newest of all ids that are left. */
  const takeNewest = async () => {
    const newest = sources.reduce<Source | undefined>((best, one) => {
      const [id] = one.next;
      return id !== undefined && (best === undefined || id > (best.next[0] ?? '')) ? one : best;
    }, undefined);
    const id = newest?.next.shift();
    if (newest === undefined || id === undefined) return undefined;
    await fill(newest);
    return { service: newest.service, id };
  };
  const found: PastDeployment[] = [];
  let looked = 0;
  let last: string | undefined;
  let isEnd = false;
  const most = Math.max(MOST_LOOKS, limit + READS);
  while (found.length <= limit && looked < most && !isEnd) {
    const some: { service: string; id: string }[] = [];
    while (some.length < Math.min(READS, most - looked)) {
      const one = await takeNewest();
      isEnd = one === undefined;
      if (one === undefined) break;
      some.push(one);
    }
    const read = await mapLimit(some, READS, ({ service, id }) => deployments.pastOrNone(service, id));
    found.push(...read.filter((one) => one !== undefined).filter(wanted));
    looked += some.length;
    last = some.at(-1)?.id ?? last;
  }
  const shown = cutAt(found, limit);
  if (shown.length < found.length) return { deployments: shown, before: shown.at(-1)?.deployment };
  return { deployments: shown, before: isEnd ? undefined : last };
}

/** The first `limit`. No page ends between equal ids, which an instance can write: the next page has only older ones. */
export function cutAt(found: PastDeployment[], limit: number): PastDeployment[] {
  let end = limit;
  while (end < found.length && found[end]?.deployment === found[end - 1]?.deployment) end += 1;
  return found.slice(0, end);
}

/** A deployment that succeeded has exit code 1 when some instances failed, but no more than allowed. */
export const hasFailed = ({ status, exitCode }: PastDeployment): boolean =>
  status === 'failed' || status === 'timed-out' || status === 'cancelled' || exitCode === 1;
