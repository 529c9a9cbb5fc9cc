import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished, vi } from 'vitest';
import { type Aws, type AwsProgram, createAws } from '../../../shared/aws.ts';
import { type Cloud, type CloudOptions, startCloud } from '../cloud/cloud.ts';
import { instanceKey, powerfulKey } from '../cloud/sqs.ts';

export const BUCKET = 'acme-deploys-dev';
const TOPIC = 'trigger-deploy-dev';

/** The AWS clients, pointed at `endpoint` by the environment, as in a real agent. */
function awsAt(environment: Record<string, string>, program: AwsProgram = {}): Aws {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const aws = createAws({ region: 'eu-west-1', pathStyle: true }, program);
  onTestFinished(() => {
    aws.close();
    vi.unstubAllEnvs();
  });
  return aws;
}

/** Signs all further requests of these clients with another access key. */
export function signAs({ sqs, sns, s3 }: Pick<Aws, 'sqs' | 'sns' | 's3'>, accessKeyId: string): void {
  for (const { config } of [sqs, sns, s3]) {
    config.credentials = async () => ({ accessKeyId, secretAccessKey: 'any' });
  }
}

/**
 * A cloud of the test's own with the bucket and the topic in it, the clients of one instance, and those of somebody who may
 * do anything, in its name.
 */
export async function cloudAndAws(
  options: CloudOptions = {},
): Promise<{ cloud: Cloud; aws: Aws; hand: Aws }> {
  const cloud = await startCloud(options);
  onTestFinished(() => cloud.stop());
  cloud.createBucket(BUCKET);
  cloud.createTopic(TOPIC);
  const hand = awsAt(cloud.env());
  signAs(hand, powerfulKey('i-0a'));
  return { cloud, aws: awsAt(cloud.env(instanceKey('i-0a'))), hand };
}

/** An HTTP server that is closed after the test; returns its URL. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An AWS endpoint that answers every request with `listener`. */
export async function fakeAws(listener: RequestListener, program: AwsProgram = {}): Promise<Aws> {
  const endpoint = await serve(listener);
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'anyone',
    AWS_SECRET_ACCESS_KEY: 'anything',
    AWS_PROFILE: '',
  };
  return awsAt(environment, program);
}

/** The error that a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const { status, reason } = (await Promise.allSettled([promise]))[0] as PromiseRejectedResult;
  if (status !== 'rejected') throw new Error('it was not rejected');
  return reason;
}
