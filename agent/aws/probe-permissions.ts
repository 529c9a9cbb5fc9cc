import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import { callerUserId } from '../../shared/caller-identity.ts';
import { keys } from '../../shared/names.ts';
import { isPermitted, WRITES_NOTHING } from '../../shared/permission-probe.ts';
import type { Finding } from '../deploy/ports.ts';

/** What the role of this instance may do, tried by writes whose condition cannot hold. Changes nothing. */

const UNUSED = 'trigger-deploy-check';

async function mayWrite(aws: Aws, Bucket: string, Key: string, abortSignal: AbortSignal): Promise<boolean> {
  const write = new PutObjectCommand({ Bucket, Key, ...WRITES_NOTHING });
  const attempt = () => aws.s3.send(write, { abortSignal });
  return await isPermitted(`write s3://${Bucket}/${Key}`, attempt, abortSignal);
}

/**
 * What this role must not be allowed: what it could write, the thief of the role of one instance could write, and deploy, or
 * speak for others.
 */
export async function probeTooMuch(
  aws: Aws,
  { bucket, env }: { bucket: string; env: string },
  signal: AbortSignal,
): Promise<Finding[]> {
  const others: [string, string][] = [
    ['desired states', keys.desired(env, UNUSED)],
    ['deployment records', keys.deployment(env, UNUSED, UNUSED)],
    ['locks', keys.lock(env, UNUSED)],
    ['versions', keys.manifest(UNUSED, UNUSED)],
    ['the records of other instances', keys.instance(env, UNUSED, UNUSED)],
    ['the reports of other instances', keys.report(env, UNUSED, UNUSED, UNUSED)],
  ];
  const may: string[] = [];
  for (const [name, key] of others) if (await mayWrite(aws, bucket, key, signal)) may.push(name);
  if (may.length === 0) return [{ ok: true, what: 'this role writes nothing but what is of this instance' }];
  const hint = `give the role the policy of an agent and no other: trigger-deploy init --env ${env} --print iam`;
  return [{ ok: false, what: `the role of this instance may write ${may.join(', ')}`, hint }];
}

/** Whether the logs of the service may be uploaded. */
export async function probeLogUpload(
  aws: Aws,
  { bucket, env, service }: { bucket: string; env: string; service: string },
  signal: AbortSignal,
): Promise<Finding> {
  const prefix = `${keys.logs(env, service)}${await callerUserId(aws, signal)}/`;
  const where = `s3://${bucket}/${prefix}`;
  if (await mayWrite(aws, bucket, `${prefix}${UNUSED}`, signal)) {
    return { ok: true, what: `logs can be uploaded to ${where}` };
  }
  const hint = `trigger-deploy init --env ${env} --print iam, with the logs of services, prints the policy of an agent`;
  return { ok: false, what: `s3:PutObject below ${where} is denied: logs cannot be uploaded`, hint };
}
