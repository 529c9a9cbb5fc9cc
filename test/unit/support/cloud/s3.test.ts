import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';

const MiB = 1024 * 1024;
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

const put = (body: string, condition: { IfMatch?: string; IfNoneMatch?: string } = {}, key = Key) =>
  clients.s3.send(new PutObjectCommand({ Bucket, Key: key, Body: body, ...condition }));
const stored = (): string | undefined => cloud.object(Bucket, Key)?.body.toString();
const refusedWith = (name: string, status: number) => ({ name, $metadata: { httpStatusCode: status } });

describe('If-None-Match: *', () => {
  it('writes a key that does not exist', async () => {
    await put('first', { IfNoneMatch: '*' });
    expect(stored()).toBe('first');
  });

  it('is refused with 412 PreconditionFailed when the key exists, and changes nothing', async () => {
    await put('first');
    await expect(put('second', { IfNoneMatch: '*' })).rejects.toMatchObject(
      refusedWith('PreconditionFailed', 412),
    );
    expect(stored()).toBe('first');
  });

  it('lets exactly one of 20 parallel writers win', async () => {
    const writers = Array.from({ length: 20 }, (_, writer) => put(`writer ${writer}`, { IfNoneMatch: '*' }));
    const outcomes = await Promise.allSettled(writers);
    const winners = outcomes.flatMap((outcome, writer) => (outcome.status === 'fulfilled' ? [writer] : []));
    expect(winners).toHaveLength(1);
    expect(stored()).toBe(`writer ${winners[0]}`);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject(refusedWith('PreconditionFailed', 412));
      }
    }
  });

  it('takes nothing but an asterisk', async () => {
    await expect(put('first', { IfNoneMatch: '"etag"' })).rejects.toMatchObject(
      refusedWith('NotImplemented', 501),
    );
  });
});

describe('If-Match', () => {
  it('overwrites what still has the ETag', async () => {
    const { ETag = '' } = await put('first');
    await put('second', { IfMatch: ETag });
    expect(stored()).toBe('second');
  });

  it('is refused with 412 PreconditionFailed when the object has changed', async () => {
    const { ETag = '' } = await put('first');
    await put('second');
    await expect(put('third', { IfMatch: ETag })).rejects.toMatchObject(
      refusedWith('PreconditionFailed', 412),
    );
    expect(stored()).toBe('second');
  });

  it('is refused with 404 NoSuchKey when the object is gone', async () => {
    await expect(put('first', { IfMatch: '"etag"' })).rejects.toMatchObject(refusedWith('NoSuchKey', 404));
    expect(stored()).toBeUndefined();
  });

  it('lets exactly one of 20 parallel takers of a lock win', async () => {
    const { ETag = '' } = await put('free');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, taker) => put(`taker ${taker}`, { IfMatch: ETag })),
    );
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
  });

  it('guards a deletion too', async () => {
    const { ETag = '' } = await put('first');
    const remove = (IfMatch: string) => clients.s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch }));
    await expect(remove('"other"')).rejects.toMatchObject(refusedWith('PreconditionFailed', 412));
    expect(stored()).toBe('first');
    await remove(ETag);
    expect(stored()).toBeUndefined();
    await expect(remove(ETag)).rejects.toMatchObject(refusedWith('NoSuchKey', 404));
  });
});

it('an ETag is the MD5 of the content: the same for the same, another for another', async () => {
  const { ETag: first } = await put('hello');
  const { ETag: same } = await put('hello');
  const { ETag: other } = await put('hello!');
  expect(first).toBe('"5d41402abc4b2a76b9719d911017c592"');
  expect(same).toBe(first);
  expect(other).not.toBe(first);
});

it('a conditional GET answers 304 while the ETag is the same', async () => {
  const { ETag: IfNoneMatch } = await put('hello');
  const get = () => clients.s3.send(new GetObjectCommand({ Bucket, Key, IfNoneMatch }));
  await expect(get()).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
  await put('hello!');
  expect(await (await get()).Body?.transformToString()).toBe('hello!');
});

it('a Range gives the bytes asked for, and 416 InvalidRange past the end', async () => {
  await put('0123456789');
  const get = (Range: string) => clients.s3.send(new GetObjectCommand({ Bucket, Key, Range }));
  expect(await (await get('bytes=4-')).Body?.transformToString()).toBe('456789');
  expect((await get('bytes=2-3')).ContentRange).toBe('bytes 2-3/10');
  await expect(get('bytes=10-')).rejects.toMatchObject(refusedWith('InvalidRange', 416));
});

it('a bucket that does not exist is 404 NoSuchBucket to every operation', async () => {
  const missing = { Bucket: 'not-there', Key };
  for (const ask of [
    () => clients.s3.send(new PutObjectCommand({ ...missing, Body: 'x', IfNoneMatch: '*' })),
    () => clients.s3.send(new GetObjectCommand(missing)),
    () => clients.s3.send(new DeleteObjectCommand(missing)),
    () => clients.s3.send(new ListObjectsV2Command(missing)),
    () => clients.s3.send(new CreateMultipartUploadCommand(missing)),
  ]) {
    await expect(ask()).rejects.toMatchObject(refusedWith('NoSuchBucket', 404));
  }
});

it('a missing key is NoSuchKey to GET and a bare 404 to HEAD', async () => {
  await expect(clients.s3.send(new GetObjectCommand({ Bucket, Key }))).rejects.toMatchObject(
    refusedWith('NoSuchKey', 404),
  );
  await expect(clients.s3.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toMatchObject(
    refusedWith('NotFound', 404),
  );
});

it('a key may be as long as ours are, and hold what a URL would escape', async () => {
  for (const name of [
    `artifacts/payments/1.4.2/${'ab'.repeat(32)}/payments-all.jar`,
    'a b/c+d/é%2F&=?.json',
  ]) {
    await put(name, {}, name);
    expect(cloud.object(Bucket, name)?.body.toString()).toBe(name);
    expect(cloud.objects(Bucket, name)).toEqual([name]);
    expect(cloud.requests.at(-1)).toMatchObject({ operation: 'PutObject', bucket: Bucket, key: name });
  }
});

it('a list of several pages gives every key once, in the order of its bytes', async () => {
  const names = Array.from({ length: 1005 }, (_, n) => `pages/${n % 2 ? 'i-' : 'I-'}${n}`);
  for (const name of names) cloud.putObject(Bucket, name, '');
  const listed: (string | undefined)[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await clients.s3.send(
      new ListObjectsV2Command({ Bucket, Prefix: 'pages/', ContinuationToken }),
    );
    listed.push(...(page.Contents ?? []).map((object) => object.Key));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken);
  expect(listed).toEqual(names.sort());
});

describe('a multipart upload', () => {
  const begin = async (): Promise<string> => {
    const { UploadId } = await clients.s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    return UploadId ?? '';
  };
  const uploadParts = (UploadId: string, sizes: number[]) =>
    Promise.all(
      sizes.map(async (size, index) => {
        const part = { PartNumber: index + 1, Body: Buffer.alloc(size, index) };
        const { ETag } = await clients.s3.send(new UploadPartCommand({ Bucket, Key, UploadId, ...part }));
        return { PartNumber: part.PartNumber, ETag };
      }),
    );
  const complete = async (sizes: number[], condition: { IfMatch?: string; IfNoneMatch?: string } = {}) => {
    const UploadId = await begin();
    const Parts = await uploadParts(UploadId, sizes);
    const input = { Bucket, Key, UploadId, MultipartUpload: { Parts }, ...condition };
    return clients.s3.send(new CompleteMultipartUploadCommand(input));
  };

  it('refuses a part under 5 MiB that is not the last: EntityTooSmall', async () => {
    await expect(complete([5 * MiB - 1, 1])).rejects.toMatchObject(refusedWith('EntityTooSmall', 400));
    await complete([5 * MiB, 1]);
    expect(cloud.object(Bucket, Key)?.body.length).toBe(5 * MiB + 1);
  });

  it('honours If-None-Match and If-Match when it completes', async () => {
    const { ETag = '' } = await complete([1], { IfNoneMatch: '*' });
    await expect(complete([1], { IfNoneMatch: '*' })).rejects.toMatchObject(
      refusedWith('PreconditionFailed', 412),
    );
    await complete([2], { IfMatch: ETag });
    await expect(complete([3], { IfMatch: ETag })).rejects.toMatchObject(
      refusedWith('PreconditionFailed', 412),
    );
    expect(cloud.object(Bucket, Key)?.body.length).toBe(2);
  });

  it('of lib-storage arrives whole from a stream', async () => {
    const content = randomBytes(12 * MiB);
    const Body = Readable.from(chunks(content, 700_001));
    await new Upload({ client: clients.s3, params: { Bucket, Key, Body, IfNoneMatch: '*' } }).done();
    expect(cloud.object(Bucket, Key)?.body.equals(content)).toBe(true);
  });
});

it('a plain PUT larger than fauxqs allows arrives whole', async () => {
  const content = randomBytes(24 * MiB);
  await clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: content }));
  expect(cloud.object(Bucket, Key)?.body.equals(content)).toBe(true);
});

it('a PUT larger than the cloud can hold is EntityTooLarge, before its body is sent', async () => {
  const put = request(`${cloud.endpoint}/${Bucket}/${Key}`, {
    method: 'PUT',
    headers: {
      authorization: 'AWS4-HMAC-SHA256 Credential=publisher/20250101/eu-west-1/s3/aws4_request',
      'content-length': 5 * 1024 * MiB,
    },
  });
  put.flushHeaders();
  const [response] = (await once(put, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(400);
  expect(await text(response)).toContain('<Code>EntityTooLarge</Code>');
  put.destroy();
});

function* chunks(content: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}
