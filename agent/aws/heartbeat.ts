import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import { keys } from '../../shared/names.ts';
import { awsCall } from './aws-call.ts';

export interface HeartbeatOptions {
  aws: Aws;
  bucket: string;
  env: string;
  instance: string;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
}

/**
 * The heartbeat of this instance: an object whose last write, by S3's clock, says when the agent last reached the record.
 * One for all services: an instance record is written only when it changes. What it says is read by
 * nobody; the time in it gives each heartbeat another ETag.
 */
export function createHeartbeat({ aws, bucket, env, instance, userId }: HeartbeatOptions) {
  return {
    /** @throws AWS_*. */
    async send(signal: AbortSignal): Promise<void> {
      const Key = keys.heartbeat(env, await userId(signal));
      const Body = JSON.stringify({ v: 1, env, instance, at: new Date(aws.now()).toISOString() });
      const command = new PutObjectCommand({ Bucket: bucket, Key, Body, ContentType: 'application/json' });
      await awsCall(`write s3://${bucket}/${Key}`, signal, () =>
        aws.s3.send(command, { abortSignal: signal }),
      );
    },
  };
}
