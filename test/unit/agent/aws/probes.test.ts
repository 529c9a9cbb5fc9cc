import { expect, test } from 'vitest';
import { probeClock, probeEndpoints } from '../../../../agent/aws/probe-endpoints.ts';
import { probeMetadata } from '../../../../agent/aws/probe-metadata.ts';
import { probeLogUpload, probeTooMuch } from '../../../../agent/aws/probe-permissions.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { BUCKET, cloudAndAws, fakeAws, serve } from '../../../support/aws/fixture.ts';
import { insteadOnce } from '../../../support/aws/queue-fixture.ts';
import { startFakeImds } from '../../../support/cloud/fake-imds.ts';

/** What `check` finds around the services. */

const { signal } = new AbortController();
const place = { env: 'dev', region: 'eu-west-1', bucket: BUCKET };
const topicOf = (region: string) => `arn:aws:sns:${region}:000000000000:trigger-deploy-dev`;

test('the role of an agent writes nothing but its own, and nothing was written', async () => {
  const { cloud, aws } = await cloudAndAws();
  expect(await probeTooMuch(aws, place, signal)).toMatchObject([{ ok: true }]);
  expect(cloud.objects(BUCKET, '')).toEqual([]);
});

test('a role that may write what others must believe is a problem, with the command that prints the right policy', async () => {
  const { cloud, hand } = await cloudAndAws();
  const [found] = await probeTooMuch(hand, place, signal);
  expect(found).toMatchObject({ ok: false, hint: expect.stringContaining('init --env dev --print iam') });
  for (const thing of ['desired states', 'locks', 'records of other instances']) {
    expect(found?.what).toContain(thing);
  }
  expect(cloud.objects(BUCKET, '')).toEqual([]);
});

test('each service of AWS that answers is a finding, also where it refuses the request', async () => {
  const { aws, cloud } = await cloudAndAws();
  const found = await probeEndpoints(aws, { ...place, topic: topicOf(cloud.region) }, signal);
  expect(found.map(({ id, ok }) => `${ok} ${id}`)).toEqual([
    'true endpoint-sts',
    'true endpoint-sns',
    'true endpoint-sqs',
    'true endpoint-s3',
  ]);
});

test('a service that cannot be reached is a problem that names its VPC endpoint', async () => {
  const aws = await fakeAws((request) => request.socket.destroy());
  const found = await probeEndpoints(aws, { ...place, topic: topicOf('eu-west-1') }, signal);
  expect(found.filter(({ ok }) => ok)).toEqual([]);
  expect(found.map(({ hint }) => hint)).toContainEqual(
    expect.stringContaining('com.amazonaws.eu-west-1.sqs'),
  );
});

test('a bucket in another region is one finding that names the right one', async () => {
  const aws = await fakeAws((_request, response) => {
    response.writeHead(301, { 'x-amz-bucket-region': 'eu-central-1', 'content-type': 'application/xml' });
    response.end('<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>');
  });
  const found = await probeEndpoints(aws, { ...place, topic: topicOf('eu-west-1') }, signal);
  expect(found).toContainEqual(
    expect.objectContaining({
      id: 'bucket-region',
      ok: false,
      what: expect.stringContaining('eu-central-1'),
    }),
  );
});

test.each([
  [0, true, 'is right'],
  [600_000, false, 'ahead of'],
  [-600_000, false, 'behind'],
])('a clock that is %d ms off', (off, ok, text) => {
  expect(probeClock({ now: () => 1_000_000 }, 1_000_000 + off)).toMatchObject({
    ok,
    what: expect.stringContaining(text),
  });
});

test('logs that the role may not upload are a problem', async () => {
  const { aws, hand, cloud } = await cloudAndAws();
  const about = { bucket: BUCKET, env: 'dev', service: 'payments' };
  expect(await probeLogUpload(hand, about, signal)).toMatchObject({ ok: true });
  insteadOnce(aws.s3 as unknown as Aws['sqs'], 'PutObjectCommand', () => {
    throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
  });
  expect(await probeLogUpload(aws, about, signal)).toMatchObject({
    ...{ ok: false, what: expect.stringContaining('s3:PutObject below s3://') },
    hint: expect.stringContaining('--print iam, with the logs of services'),
  });
  expect(cloud.objects(BUCKET, '')).toEqual([]);
});

test('metadata without tags is a warning with the command that allows them', async () => {
  const imds = await startFakeImds({ 'instance-id': 'i-0a1' });
  try {
    const found = await probeMetadata(signal, imds.endpoint);
    expect(found.map(({ id, ok, hint }) => [id, ok, hint?.split(' --instance-id ')[1]])).toEqual([
      [undefined, true, undefined],
      ['metadata-token', true, undefined],
      ['metadata-tags', true, 'i-0a1 --instance-metadata-tags enabled'],
    ]);
  } finally {
    await imds.stop();
  }
});

test('metadata that is read without a token is a warning with the command that demands one', async () => {
  const open = await serve((_request, response) => void response.end('i-0a1'));
  expect(await probeMetadata(signal, open)).toContainEqual({
    ...{ id: 'metadata-token', ok: true, what: expect.stringContaining('IMDSv1') },
    hint: 'aws ec2 modify-instance-metadata-options --instance-id i-0a1 --http-tokens required',
  });
});

test('metadata whose answers do not get here names the hop limit', async () => {
  const imds = await startFakeImds({ 'instance-id': 'i-0a1' });
  imds.hops = imds.hopLimit + 1;
  try {
    expect(await probeMetadata(signal, imds.endpoint)).toMatchObject([
      { ok: false, hint: expect.stringContaining('--http-put-response-hop-limit 2') },
    ]);
  } finally {
    await imds.stop();
  }
});
