import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { uploadPart } from '../../../../publisher/packages/upload.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { fakeAws, rejection } from '../../../support/aws/fixture.ts';
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
