import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { Cloud } from './cloud.ts';

export interface Clients {
  readonly sqs: SQSClient;
  readonly sns: SNSClient;
  readonly s3: S3Client;
  close(): void;
}

/** Real SDK clients for a test, which may do anything unless another access key is given. One attempt only, unless asked: a test wants to see the first answer. */
export function clientsOf(
  cloud: Pick<Cloud, 'endpoint' | 'region'>,
  accessKeyId = 'operator',
  maxAttempts = 1,
): Clients {
  const config = {
    endpoint: cloud.endpoint,
    region: cloud.region,
    credentials: { accessKeyId, secretAccessKey: 'embedded-cloud' },
    maxAttempts,
  };
  const sqs = new SQSClient({ ...config, useQueueUrlAsEndpoint: false });
  const sns = new SNSClient(config);
  const s3 = new S3Client({ ...config, forcePathStyle: true });
  return {
    sqs,
    sns,
    s3,
    close() {
      for (const client of [sqs, sns, s3]) client.destroy();
    },
  };
}
