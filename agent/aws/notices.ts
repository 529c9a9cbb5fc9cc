import type { MetadataSession } from './metadata-session.ts';

/** What the instance metadata says about the life of this instance. */
export interface NoticeReader {
  /** The texts at the three paths; undefined where there is none. @throws as `MetadataSession.get`. */
  read(signal: AbortSignal): Promise<{
    spot: string | undefined;
    rebalance: string | undefined;
    target: string | undefined;
  }>;
}

/**
 * Reads only what the instance can have: `autoScaling` tells whether it may be in a group, and the metadata whether it is
 * a spot instance (EC2 User Guide, "Instance metadata categories", `instance-life-cycle`).
 */
export function createNoticeReader(
  session: Pick<MetadataSession, 'get'>,
  watched: { spot: boolean; autoScaling: boolean },
): NoticeReader {
  let isSpot: boolean | undefined = watched.spot ? undefined : false;
  return {
    async read(signal) {
      // Where the metadata does not say it, it may be one.
      isSpot ??= ['spot', undefined].includes(await session.get('instance-life-cycle', signal));
      const get = async (is: boolean, path: string) => (is ? await session.get(path, signal) : undefined);
      // One after another: they share a connection.
      return {
        spot: await get(isSpot, 'spot/instance-action'),
        rebalance: await get(isSpot, 'events/recommendations/rebalance'),
        target: await get(watched.autoScaling, 'autoscaling/target-lifecycle-state'),
      };
    },
  };
}
