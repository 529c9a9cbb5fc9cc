import { partitionOf } from '../../shared/aws-names.ts';
import type { PolicyPlace } from './statements.ts';

/** What the command line adds to a printed environment. */
export interface PrintOptions {
  bucketKey?: string | undefined;
  events: boolean;
  targetGroup?: readonly string[] | undefined;
}

interface PrintedPlace {
  env: string;
  region: string;
  account: string;
  bucket: string;
  events: string | undefined;
}

/** The place and the features for which policies are made. */
export function placeOf(
  { env, region, account, bucket, events }: PrintedPlace,
  options: PrintOptions,
): PolicyPlace {
  return {
    ...{ env, region, account, bucket, partition: partitionOf(region) },
    features: {
      ...(events !== undefined && { events }),
      ...(options.bucketKey !== undefined && { bucketKey: options.bucketKey }),
      ...(options.targetGroup !== undefined && { targetGroups: options.targetGroup }),
    },
  };
}
