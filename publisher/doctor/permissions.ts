import { PutObjectCommand } from '@aws-sdk/client-s3';
import { awsError } from '../../shared/aws-errors.ts';
import { keys } from '../../shared/names.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** Whether these credentials may write what a deployment writes. Changes nothing. */

/** No object has this ETag: it is as long as one, and no MD5 is known to be it. */
const NO_ETAG = `"${'0'.repeat(32)}"`;
const LANES = 4;

/**
 * Asks S3 to replace each object only if it has an ETag that no object has. S3 checks the permission first, so it
 * answers 403 where that is missing, and otherwise that the condition failed, or that there is no such object (S3 User
 * Guide, "Conditional writes").
 */
export async function examineWrites({ aws, env, signal }: Session): Promise<DoctorFinding[]> {
  const any = 'trigger-deploy-doctor';
  const places = [
    keys.lock(env.name, any),
    keys.desired(env.name, any),
    keys.deployment(env.name, any, any),
    keys.changes(env.name),
    keys.manifest(any, any),
  ];
  const denied = await mapLimit(places, LANES, async (Key) => {
    const write = { Bucket: env.bucket, Key, Body: '', IfMatch: NO_ETAG };
    try {
      await aws.s3.send(new PutObjectCommand(write), { abortSignal: signal });
    } catch (error) {
      signal.throwIfAborted();
      const failure = awsError(error, `write s3://${env.bucket}/${Key}`);
      if (failure.code === 'AWS_DENIED') return Key;
      if (failure.code === 'AWS_UNREACHABLE') throw failure;
    }
    return undefined;
  });
  const missing = denied.filter((key) => key !== undefined);
  if (missing.length === 0) return [{ state: 'ok', what: 'the record and versions can be written' }];
  return missing.map((key) => ({
    state: 'wrong',
    what: `s3:PutObject on ${key.replaceAll(any, '*')} is denied`,
    hint: `trigger-deploy init --env ${env.name} --print iam prints the policy of a publisher; a reader needs none of it`,
  }));
}
