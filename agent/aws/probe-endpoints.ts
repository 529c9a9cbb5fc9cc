import { GetObjectCommand } from '@aws-sdk/client-s3';
import { GetTopicAttributesCommand } from '@aws-sdk/client-sns';
import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { callerUserId } from '../../shared/caller-identity.ts';
import { formatMs } from '../../shared/duration.ts';
import { type AwsService, reach } from '../../shared/endpoints.ts';
import { isCode } from '../../shared/errors.ts';
import { agentQueueName, keys } from '../../shared/names.ts';
import type { Finding } from '../deploy/ports.ts';

/** Which services of AWS answer, whether the bucket is in this region, and the clock. Changes nothing. */

/** Clocks that differ by less are right enough, ms. SigV4 allows 5 minutes (S3 allows 15). */
const CLOCK_MS = 60_000;
const UNUSED = 'trigger-deploy-check';

export interface ProbedPlace {
  env: string;
  region: string;
  topic: string;
  bucket: string;
}

/** All are asked at a time. An answer that refuses the request is an answer. @throws the reason of `signal`. */
export async function probeEndpoints(
  aws: Aws,
  { env, region, topic, bucket }: ProbedPlace,
  signal: AbortSignal,
): Promise<Finding[]> {
  const Key = keys.desired(env, UNUSED);
  const QueueName = agentQueueName(env, UNUSED);
  const probes: [AwsService, (abortSignal: AbortSignal) => Promise<unknown>][] = [
    ['STS', (abortSignal) => callerUserId(aws, abortSignal)],
    [
      'SNS',
      (abortSignal) => aws.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }), { abortSignal }),
    ],
    ['SQS', (abortSignal) => aws.sqs.send(new GetQueueUrlCommand({ QueueName }), { abortSignal })],
    ['S3', (abortSignal) => aws.s3.send(new GetObjectCommand({ Bucket: bucket, Key }), { abortSignal })],
  ];
  const found = await Promise.all(
    probes.map(async ([service, ask]): Promise<Finding[]> => {
      const { state, what, hint, error } = await reach(service, region, { signal }, (within) =>
        ask(within).catch((thrown: unknown) => {
          within.throwIfAborted();
          throw awsError(thrown, `ask ${service}`);
        }),
      );
      const id = `endpoint-${service.toLowerCase()}`;
      // `awsError` gives a bucket elsewhere this code, and names the region where S3 does.
      if (service === 'S3' && isCode(error, 'CONFIG_INVALID')) {
        return [{ id: 'bucket-region', ok: false, what: error.message, hint: error.hint }];
      }
      if (state === 'answers') return [{ id, ok: true, what }];
      return [{ id, ok: state === 'slow', what, hint }];
    }),
  );
  return found.flat();
}

/** The clock of this machine beside that of AWS; to be called after calls to AWS. */
export function probeClock({ now }: Pick<Aws, 'now'>, here = Date.now()): Finding {
  const ahead = here - now();
  if (Math.abs(ahead) < CLOCK_MS) return { ok: true, what: 'the clock of this machine is right' };
  const where = ahead > 0 ? 'ahead of' : 'behind';
  const what = `the clock of this machine is ${formatMs(Math.abs(ahead))} ${where} that of AWS`;
  return { ok: false, what, hint: 'timedatectl set-ntp true' };
}
