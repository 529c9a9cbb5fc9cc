import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { uploadPart } from '../../../../publisher/packages/upload.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { cloudAndAws, fakeAws, rejection, signAs } from '../../../support/aws/fixture.ts';
import { CloudError, errorAnswer } from '../../../support/cloud/errors.ts';

const MIB = 1024 * 1024;

/** An S3 that completes an upload and loses the answer, or refuses to complete it; then the upload is gone. */
async function uploadTo(completes: boolean) {
  const bytes = Buffer.alloc(9 * MIB, 'a');
  let isThere = false;
  let completions = 0;
  const aws = await fakeAws((request, response) => {
    const { method = '', url = '' } = request;
    request.resume().on('end', () => {
      if (method === 'HEAD') {
        response.writeHead(isThere ? 200 : 404, isThere ? { 'content-length': bytes.length } : {}).end();
      } else if (method === 'POST' && url.includes('uploads')) {
        response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>');
      } else if (method === 'PUT') {
        response.setHeader('etag', '"e"').end();
      } else if (method === 'POST' && completions === 0) {
        completions += 1;
        isThere = completes;
        request.socket.destroy();
      } else {
        const { headers, body } = errorAnswer('s3', new CloudError(404, 'NoSuchUpload', 'no such upload'));
        response.writeHead(404, headers).end(body);
      }
    });
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const progress: number[] = [];
  const uploading = uploadPart({
    ...{ s3: aws.s3, bucket: 'acme', key: 'artifacts/x', signal: NEVER },
    part: {
      artifact: { name: 'x', size: bytes.length, sha256, role: 'package' },
      from: 'x.jar',
      async *bytes() {
        yield bytes;
      },
    },
    progress: (done) => void progress.push(done),
  });
  return { uploading, progress, size: bytes.length };
}

describe('when the answer to the completion of an upload is lost', () => {
  test('a file that is whole in the bucket is uploaded', async () => {
    const { uploading, progress, size } = await uploadTo(true);
    expect(await uploading).toBe(true);
    expect(progress.at(-1)).toBe(size);
  });

  test('a file that is not there is not', async () => {
    const { uploading } = await uploadTo(false);
    expect(await rejection(uploading)).toMatchObject({ code: 'AWS_REFUSED' });
  });
});

describe('what is uploaded has a checksum, which S3 compares', () => {
  test.each([
    ['one piece: the sha256 of the manifest', 8 * MIB, ['x-amz-checksum-sha256']],
    ['several pieces: one of each', 8 * MIB + 1, ['x-amz-checksum-crc32', 'x-amz-checksum-crc32']],
  ])('%s', async (_, size, expected) => {
    const { cloud, aws } = await cloudAndAws();
    signAs(aws, 'publisher');
    cloud.createBucket('acme');
    const bytes = Buffer.alloc(size, 'a');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const sent: string[] = [];
    aws.s3.middlewareStack.add(
      (next) => async (args) => {
        const { headers, method } = args.request as { headers: Record<string, string>; method: string };
        if (method === 'PUT') {
          sent.push(...Object.keys(headers).filter((one) => /^x-amz-checksum-(crc|sha)/.test(one)));
        }
        return await next(args);
      },
      { step: 'finalizeRequest', name: 'checksums', priority: 'low' },
    );
    const part = {
      artifact: { name: 'x', size, sha256, role: 'package' } as const,
      from: 'x.jar',
      async *bytes() {
        yield bytes;
      },
    };
    const to = { s3: aws.s3, bucket: 'acme', key: 'artifacts/x', signal: NEVER, progress() {} };
    expect(await uploadPart({ ...to, part })).toBe(true);
    expect(cloud.object('acme', 'artifacts/x')?.body.equals(bytes)).toBe(true);
    expect(sent).toEqual(expected);
  });

  test('a piece that was changed on its way is refused', async () => {
    const { cloud, aws } = await cloudAndAws();
    signAs(aws, 'publisher');
    cloud.createBucket('acme');
    const part = {
      artifact: {
        name: 'x',
        size: 1,
        sha256: createHash('sha256').update('y').digest('hex'),
        role: 'package',
      },
      from: 'x.jar',
      async *bytes() {
        yield Buffer.from('x');
      },
    } as const;
    const to = { s3: aws.s3, bucket: 'acme', key: 'artifacts/x', signal: NEVER, progress() {} };
    await rejection(uploadPart({ ...to, part }));
    expect(cloud.object('acme', 'artifacts/x')).toBeUndefined();
  });
});
