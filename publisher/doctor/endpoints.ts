import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { GetTopicAttributesCommand } from '@aws-sdk/client-sns';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { awsError } from '../../shared/aws-errors.ts';
import { accountOfArn, domainOf, kmsKeyOf } from '../../shared/aws-names.ts';
import { callerAccount } from '../../shared/caller-identity.ts';
import { type AwsService, type Reach, reach } from '../../shared/endpoints.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { replyQueueName, ulidOf } from '../../shared/names.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** Whether each service of AWS can be reached from here, and whether the bucket is in this region. Changes nothing. */

export interface Endpoints {
  findings: DoctorFinding[];
  /** Whether these services answer; the bucket is then in this region. Others were not asked, and count as up. */
  up(...services: AwsService[]): boolean;
}

/** All are asked at a time, for 10 s at most. An answer that refuses the request is an answer. @throws the session's reason. */
export async function examineEndpoints(session: Session): Promise<Endpoints> {
  const { env, signal } = session;
  const asked = await Promise.all(
    probesOf(session).map(async ([service, ask]) => ({
      service,
      ...(await reach(service, env.region, { signal }, ask)),
    })),
  );
  const findings = asked.map(findingOf);
  const s3 = asked.find(({ service }) => service === 'S3');
  // `awsError` gives a bucket elsewhere this code, and names the region where S3 does.
  const elsewhere = isCode(s3?.error, 'CONFIG_INVALID') ? s3.error : undefined;
  if (elsewhere) {
    findings.push({
      ...{ id: 'bucket-region', state: 'wrong', what: messageOf(elsewhere), hint: elsewhere.hint },
    });
  } else if (s3?.state !== 'down') {
    findings.push({ id: 'bucket-region', state: 'ok', what: `the bucket is not in another region` });
  }
  const down = new Set<AwsService>(
    asked.filter(({ state }) => state === 'down').map(({ service }) => service),
  );
  if (elsewhere) down.add('S3');
  return { findings, up: (...services) => services.every((one) => !down.has(one)) };
}

function findingOf({ service, state, what, hint }: Reach & { service: AwsService }): DoctorFinding {
  const id = endpointId(service);
  return { id, state: state === 'answers' ? 'ok' : 'wrong', what, hint };
}

export const endpointId = (service: AwsService) => `endpoint-${service.toLowerCase().replaceAll(' ', '-')}`;

type Ask = (signal: AbortSignal) => Promise<unknown>;

function probesOf(session: Session): [AwsService, Ask][] {
  const { aws, env } = session;
  const call = (service: string, ask: Ask): Ask => {
    return (signal) =>
      ask(signal).catch((error: unknown) => {
        if (signal.aborted) throw signal.reason;
        throw awsError(error, `ask ${service}`);
      });
  };
  // No queue has this name: the id is of the first millisecond of 1970.
  const queue = replyQueueName(env.name, ulidOf(0));
  // The SDK asks the host of this URL.
  const host = `sqs.${env.region}.${domainOf(env.region)}`;
  const QueueUrl = `https://${host}/${accountOfArn(env.topic)}/${queue}`;
  const probes: [AwsService, Ask][] = [
    ['STS', (abortSignal) => callerAccount(aws, abortSignal)],
    [
      'SNS',
      (abortSignal) => aws.sns.send(new GetTopicAttributesCommand({ TopicArn: env.topic }), { abortSignal }),
    ],
    [
      'SQS',
      (abortSignal) =>
        aws.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 0 }), { abortSignal }),
    ],
    ['S3', (abortSignal) => aws.s3.send(new HeadBucketCommand({ Bucket: env.bucket }), { abortSignal })],
  ];
  if (kmsKeyOf(env.signingKey ?? '') !== undefined) probes.push(['KMS', () => session.signer()]);
  return probes.map(([service, ask]) => [service, call(service, ask)]);
}
