import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createLogStore } from '../../../../agent/aws/log-store.ts';
import { BUCKET, cloudAndAws, fakeAws } from '../../../support/aws/fixture.ts';
import { calm } from '../../../support/host/clock.ts';

const body = Buffer.from('a line\n');
const part = {
  ...{ id: '0123456789abcdef', name: 'app log.log', since: Date.parse('2026-11-28T10:15:02Z') },
  ...{ start: 0, end: 7, body, compressed: false, sha256: createHash('sha256').update(body).digest() },
};
const key =
  'logs/dev/payments/AROAEMBEDDEDCLOUD:i-0a/2026-11-28/101502-app_log.log-0123456789abcdef/000000000000000-000000000000007.log';
const place = {
  bucket: BUCKET,
  env: 'dev',
  service: 'payments',
  userId: async () => 'AROAEMBEDDEDCLOUD:i-0a',
};

test('a part is one object under a key of the instance, and a repeated upload leaves it as it is', async () => {
  const { aws, cloud } = await cloudAndAws();
  const store = createLogStore({ aws, ...place });
  await store.put(part, calm);
  await store.put(part, calm);
  const puts = cloud.requests.filter(({ operation }) => operation === 'PutObject');
  expect(puts.map(({ key, status }) => [key, status])).toEqual([
    [key, 200],
    [key, 412],
  ]);
});

test('a part that was changed on its way is not stored', async () => {
  const { aws, cloud } = await cloudAndAws();
  const store = createLogStore({ aws, ...place });
  const changed = { ...part, body: Buffer.from('other!\n') };
  await expect(store.put(changed, calm)).rejects.toThrow('BadDigest');
  expect(cloud.requests.filter(({ status }) => status === 200)).toEqual([]);
});

test('the PUT has a condition, its sha256, and the name of the file', async () => {
  let headers: Record<string, unknown> = {};
  const aws = await fakeAws((request, response) => {
    headers = request.headers;
    response.end();
  });
  await createLogStore({ aws, ...place }).put(part, calm);
  expect(headers).toMatchObject({
    'if-none-match': '*',
    'x-amz-checksum-sha256': part.sha256.toString('base64'),
    'x-amz-meta-source': 'app%20log.log',
  });
});

test('a refused PUT is an error that names the object', async () => {
  const aws = await fakeAws((_, response) => {
    response.statusCode = 403;
    response.end('<Error><Code>AccessDenied</Code></Error>');
  });
  await expect(createLogStore({ aws, ...place }).put(part, calm)).rejects.toMatchObject({
    code: 'AWS_DENIED',
    message: expect.stringContaining(`write s3://${BUCKET}/${key}`),
  });
});
