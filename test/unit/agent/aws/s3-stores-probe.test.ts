import { describe, expect, test } from 'vitest';
import { probeBucket } from '../../../../agent/aws/s3-stores.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { BUCKET, cloudAndAws, fakeAws } from '../../../support/aws/fixture.ts';

describe('probeBucket', () => {
  test('reports the permissions, and writes nothing', async () => {
    const { cloud, aws } = await cloudAndAws();
    expect(await probeBucket(aws, BUCKET, 'dev', NEVER)).toEqual([
      { ok: true, what: `allowed to read s3://${BUCKET}/artifacts/` },
      { ok: true, what: `allowed to read s3://${BUCKET}/state/dev/` },
      { ok: true, what: `allowed to write s3://${BUCKET}/state/dev/*/instances/` },
    ]);
    expect(cloud.objects(BUCKET)).toEqual([]);
  });

  test('names a bucket that does not exist, each time with a hint', async () => {
    const { aws } = await cloudAndAws();
    const findings = await probeBucket(aws, 'no-such-bucket', 'dev', NEVER);
    expect(findings.map(({ ok, hint }) => [ok, hint?.includes('`bucket`')])).toEqual([
      [false, true],
      [false, true],
      [false, true],
    ]);
  });

  test('distinguishes a role that may read from one that may write', async () => {
    const aws = await fakeAws((request, response) => {
      const code = request.method === 'PUT' ? 'AccessDenied' : 'NoSuchKey';
      response.writeHead(code === 'NoSuchKey' ? 404 : 403, { 'content-type': 'application/xml' });
      response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    });
    const findings = await probeBucket(aws, BUCKET, 'dev', NEVER);
    expect(findings.map(({ ok }) => ok)).toEqual([true, true, false]);
  });
});
