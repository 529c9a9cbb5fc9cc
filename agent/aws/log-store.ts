import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import { awsStatus } from '../../shared/aws-errors.ts';
import { keys } from '../../shared/names.ts';
import type { LogStore } from '../deploy/log-port.ts';
import { awsCall } from './aws-call.ts';

/** As much of the name of a file as the metadata of an object gets, bytes. S3 allows 2 KB in all. */
const SOURCE_LIMIT = 1024;

/**
 * The logs of one service in S3. A part is never written over: a PUT whose answer was lost is repeated, and S3 answers
 * 412 (S3 User Guide, "How to prevent object overwrites with conditional writes"). S3 compares the sha256 with what it
 * received (S3 User Guide, "Checking object integrity"); a bucket with Object Lock takes no PUT without a checksum.
 */
export function createLogStore({
  aws,
  bucket,
  env,
  service,
  userId,
}: {
  aws: Aws;
  bucket: string;
  env: string;
  service: string;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
}): LogStore {
  return {
    async put(part, signal) {
      const Key = keys.logPart(env, service, await userId(signal), part);
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key,
        Body: part.body,
        IfNoneMatch: '*',
        ChecksumSHA256: part.sha256.toString('base64'),
        ContentType: part.compressed ? 'application/gzip' : 'text/plain',
        Metadata: { source: encodeURIComponent(part.name).slice(0, SOURCE_LIMIT) },
      });
      await awsCall(`write s3://${bucket}/${Key}`, signal, () =>
        aws.s3.send(command, { abortSignal: signal }).catch((error: unknown) => {
          if (awsStatus(error) !== 412) throw error;
        }),
      );
    },
  };
}
