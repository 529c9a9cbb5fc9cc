import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { crc32 } from 'node:zlib';
import { decodeAwsChunked } from '../../../node_modules/fauxqs/dist/s3/chunkedEncoding.js';
import { CloudError } from './errors.ts';
import type { Call } from './requests.ts';

/**
 * The checksums of what is written to S3. Every bucket here refuses a PUT without one, as a bucket of AWS with a default retention does
 * (S3 API Reference, PutObject: "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload an object
 * with a retention period configured using Amazon S3 Object Lock"; the same for UploadPart). The texts are those of AWS, as users of
 * other tools quote them. Each checksum is compared with the body.
 */

/** The operations, as AWS names them in its refusal. */
const PUTS: Partial<Record<string, string>> = {
  PutObject: 'Put Object',
  UploadPart: 'Put Part',
};

type Digest = (body: Buffer) => string;
const hash =
  (name: string): Digest =>
  (body) =>
    createHash(name).update(body).digest('base64');
const crc: Digest = (body) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64');
};
const DIGESTS: Readonly<Record<string, [name: string, Digest]>> = {
  'content-md5': ['Content-MD5', hash('md5')],
  'x-amz-checksum-crc32': ['CRC32', crc],
  'x-amz-checksum-sha1': ['SHA1', hash('sha1')],
  'x-amz-checksum-sha256': ['SHA256', hash('sha256')],
};

/** @throws InvalidRequest when a PUT has no checksum, BadDigest when it has the checksum of something else. */
export function checkChecksum({ record, headers }: Call, received: unknown): void {
  const what = PUTS[record.operation];
  if (what !== undefined) checkPut(what, headers, asBuffer(received));
}

function checkPut(what: string, headers: IncomingHttpHeaders, received: Buffer): void {
  const isChunked = headers['content-encoding']?.includes('aws-chunked') ?? false;
  const { body, trailers } = isChunked ? decodeAwsChunked(received) : { body: received, trailers: {} };
  const given = Object.entries({ ...headers, ...trailers }).filter(
    ([name]) => name === 'content-md5' || /^x-amz-checksum-(?!algorithm|type|mode)/.test(name),
  );
  if (given.length === 0) {
    const message = `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`;
    throw new CloudError(400, 'InvalidRequest', message);
  }
  for (const [name, value] of given) {
    const [algorithm, digest] = DIGESTS[name] ?? [];
    if (!algorithm || !digest) throw new CloudError(501, 'NotImplemented', `${name} is not known here`);
    if (value === digest(body)) continue;
    const message =
      name === 'content-md5'
        ? 'The Content-MD5 you specified did not match what we received.'
        : `The ${algorithm} you specified did not match the calculated checksum.`;
    throw new CloudError(400, 'BadDigest', message);
  }
}

const asBuffer = (body: unknown) => (Buffer.isBuffer(body) ? body : Buffer.from(String(body ?? '')));
