import { createHash } from 'node:crypto';
import {
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';

const Bucket = 'acme-deploys-dev';
let cloud: Cloud;
let clients: Clients;
let Key: string;
let keys = 0;

beforeAll(async () => {
  cloud = await startCloud();
  cloud.createBucket(Bucket);
  clients = clientsOf(cloud);
});
afterAll(async () => {
  clients.close();
  await cloud.stop();
});
beforeEach(() => {
  keys += 1;
  Key = `state/dev/payments/${keys}.json`;
});
const stored = (): string | undefined => cloud.object(Bucket, Key)?.body.toString();

describe('a checksum', () => {
  const REQUIRED = (what: string) =>
    `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`;
  /** A client that computes no checksum by itself. */
  const plain = () =>
    new S3Client({
      ...{ endpoint: cloud.endpoint, region: cloud.region, forcePathStyle: true, maxAttempts: 1 },
      credentials: { accessKeyId: 'operator', secretAccessKey: 'embedded-cloud' },
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
  const base64 = (algorithm: string, body: string) => createHash(algorithm).update(body).digest('base64');

  it('is required of each object, as a bucket with Object Lock requires it', async () => {
    await expect(plain().send(new PutObjectCommand({ Bucket, Key, Body: 'x' }))).rejects.toMatchObject({
      name: 'InvalidRequest',
      message: REQUIRED('Put Object'),
    });
    expect(stored()).toBeUndefined();
  });

  it('is required of each part', async () => {
    const s3 = plain();
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'x' };
    await expect(s3.send(new UploadPartCommand(part))).rejects.toMatchObject({
      name: 'InvalidRequest',
      message: REQUIRED('Put Part'),
    });
  });

  it.each([
    ['ContentMD5', 'md5'],
    ['ChecksumSHA1', 'sha1'],
    ['ChecksumSHA256', 'sha256'],
  ])('%s is compared with the body', async (field, algorithm) => {
    const input = { Bucket, Key, Body: 'x', [field]: base64(algorithm, 'y') };
    await expect(plain().send(new PutObjectCommand(input))).rejects.toMatchObject({ name: 'BadDigest' });
    await plain().send(new PutObjectCommand({ ...input, [field]: base64(algorithm, 'x') }));
    expect(stored()).toBe('x');
  });

  it('of the SDK is compared, too', async () => {
    await clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const wrong = new PutObjectCommand({ Bucket, Key, Body: 'y', ChecksumCRC32: 'AAAAAA==' });
    await expect(clients.s3.send(wrong)).rejects.toMatchObject({
      name: 'BadDigest',
      message: 'The CRC32 you specified did not match the calculated checksum.',
    });
    expect(stored()).toBe('x');
  });
});
