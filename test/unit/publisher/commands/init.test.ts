import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUCKET, isWrite, openSetup, type SetupStage } from '../../../support/publisher/setup-stage.ts';

let stage: SetupStage;
beforeEach(async () => {
  stage = await openSetup();
});
afterEach(() => stage.stop());

const ALL = [
  'CreateTopic',
  'CreateBucket',
  'PutBucketVersioning',
  'PutBucketPolicy',
  'PutBucketLifecycleConfiguration',
];
const config = (kind: string) => stage.cloud.bucketConfig(BUCKET, kind) ?? '';
const statements = (policy: string) => (JSON.parse(policy) as { Statement: { Sid: string }[] }).Statement;
const sids = (policy: string) => statements(policy).map(({ Sid }) => Sid);

test('from nothing, the topic and the bucket are made, and what a new bucket has already is not set', async () => {
  const { writes, said, exitCode } = await stage.run();
  expect(writes).toEqual(ALL);
  expect(said).toEqual([
    'created topic trigger-deploy-dev',
    `created bucket ${BUCKET}`,
    `changed bucket ${BUCKET}, versioning`,
    `changed bucket ${BUCKET}, policy`,
    `changed bucket ${BUCKET}, lifecycle`,
  ]);
  expect(exitCode).toBe(0);
});

test('the second time nothing is written, and everything is right', async () => {
  await stage.run();
  const { writes, said, steps, exitCode } = await stage.run();
  expect({ writes, said, exitCode }).toEqual({ writes: [], said: [], exitCode: 0 });
  expect(steps).toHaveLength(8);
});

test('a dry run writes nothing, and says what is missing', async () => {
  const { writes, said, exitCode } = await stage.run({ isDryRun: true });
  expect(writes).toEqual([]);
  expect(said).toEqual(['missing topic trigger-deploy-dev', `missing bucket ${BUCKET}`]);
  expect(exitCode).toBe(0);
});

describe('what another tool broke is set again, and nothing else is written:', () => {
  const off =
    '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>';
  const writer =
    '<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>';
  const suspended = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>';
  test.each([
    ['publicAccessBlock', undefined, 'PutPublicAccessBlock'],
    ['publicAccessBlock', off, 'PutPublicAccessBlock'],
    ['ownershipControls', undefined, 'PutBucketOwnershipControls'],
    ['ownershipControls', writer, 'PutBucketOwnershipControls'],
    ['versioning', suspended, 'PutBucketVersioning'],
    ['encryption', undefined, 'PutBucketEncryption'],
    ['policy', undefined, 'PutBucketPolicy'],
    ['lifecycle', undefined, 'PutBucketLifecycleConfiguration'],
  ])('%s, put as %s', async (kind, broken, write) => {
    await stage.run();
    const right = config(kind);
    stage.cloud.setBucketConfig(BUCKET, kind, broken);
    expect((await stage.run()).writes).toEqual([write]);
    expect(
      config(kind).replace(/ xmlns="[^"]*"|<\?xml[^>]*\?>|<BucketKeyEnabled>false<\/BucketKeyEnabled>/g, ''),
    ).toBe(right.replace(/ xmlns="[^"]*"|<\?xml[^>]*\?>|<BucketKeyEnabled>false<\/BucketKeyEnabled>/g, ''));
  });

  test('the policy of the topic', async () => {
    await stage.run();
    stage.cloud.setTopicAttribute(
      stage.topic,
      'Policy',
      JSON.stringify({ Version: '2012-10-17', Statement: [] }),
    );
    expect((await stage.run()).writes).toEqual(['SetTopicAttributes']);
    expect(sids(stage.cloud.topicAttribute(stage.topic, 'Policy') ?? '')).toEqual([
      'TriggerDeployAccount',
      'TriggerDeployTlsOnly',
    ]);
  });
});

describe('a permission that is missing is named, the rest is done, and the exit code is 4:', () => {
  test.each([
    ['GetTopicAttributes', 'sns:GetTopicAttributes', ALL.slice(1)],
    ['CreateTopic', 'sns:CreateTopic', ALL.slice(1)],
    ['CreateBucket', 'sns:CreateBucket', ALL.slice(0, 1)],
    ['GetPublicAccessBlock', 's3:GetBucketPublicAccessBlock', ALL],
    ['GetBucketOwnershipControls', 's3:GetBucketOwnershipControls', ALL],
    ['GetBucketVersioning', 's3:GetBucketVersioning', ALL.filter((one) => one !== 'PutBucketVersioning')],
    ['PutBucketVersioning', 's3:PutBucketVersioning', ALL],
    ['GetBucketEncryption', 's3:GetEncryptionConfiguration', ALL],
    ['GetBucketPolicy', 's3:GetBucketPolicy', ALL.filter((one) => one !== 'PutBucketPolicy')],
    ['PutBucketPolicy', 's3:PutBucketPolicy', ALL],
    ['GetBucketLifecycleConfiguration', 's3:GetLifecycleConfiguration', ALL.slice(0, -1)],
    ['PutBucketLifecycleConfiguration', 's3:PutLifecycleConfiguration', ALL],
  ])('%s', async (operation, action, writes) => {
    stage.cloud.fail('denied', (request) => request.operation === operation, Number.POSITIVE_INFINITY);
    const run = await stage.run();
    const denied = run.steps.filter(({ state }) => state === 'denied');
    expect(denied).toMatchObject([{ action: action.replace('sns:CreateBucket', 's3:CreateBucket') }]);
    expect(denied[0]?.hint).toContain(`allow ${denied[0]?.action} to the role of these credentials`);
    expect([...new Set(run.writes)].filter((one) => one !== operation)).toEqual(
      writes.filter((one) => one !== operation),
    );
    expect(run.exitCode).toBe(4);
  });
});

describe('whatever happens on the way, the next run completes it:', () => {
  test.each(ALL.map((_, i) => i + 1))('killed after write %i', async (count) => {
    const stop = new AbortController();
    let left = count;
    const killed = stage.run({
      signal: stop.signal,
      tell: () => stop.signal.throwIfAborted(),
    });
    const watch = stage.cloud.until((request) => {
      if (
        isWrite(request) &&
        request.status !== undefined &&
        stage.cloud.requests.filter(isWrite).length >= count
      )
        left = 0;
      if (left === 0) stop.abort(new Error('killed'));
      return left === 0;
    });
    await expect(killed).rejects.toThrow('killed');
    await watch;
    await stage.run();
    expect((await stage.run()).said).toEqual([]);
  });

  test('every answer is lost once', async () => {
    for (const operation of ALL)
      stage.cloud.fail('answer-lost', (request) => request.operation === operation);
    expect(await stage.run()).toMatchObject({ exitCode: 0 });
    expect((await stage.run()).writes).toEqual([]);
  });

  test('another request changes the same configuration: 409 is waited out', async () => {
    for (const operation of ALL.slice(1))
      stage.cloud.fail('aborted', (request) => request.operation === operation);
    expect(await stage.run()).toMatchObject({ exitCode: 0 });
  });

  test('two runs at once', async () => {
    const runs = await Promise.all([stage.run(), stage.run()]);
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect((await stage.run()).writes).toEqual([]);
  });
});

test('in us-east-1 the bucket is created without a location constraint, and never a second time', async () => {
  const virginia = await openSetup('us-east-1');
  try {
    expect((await virginia.run()).writes).toEqual(ALL);
    expect((await virginia.run()).writes).toEqual([]);
  } finally {
    await virginia.stop();
  }
});

test('nobody is asked when nothing is to be done, and a no changes nothing', async () => {
  const asked: string[] = [];
  const ask = async () => false;
  const options = {
    isYes: false,
    ask,
    plan: (_steps: unknown, question: string) => void asked.push(question),
  };
  await expect(stage.run(options)).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(asked).toEqual(['Create or change these in the account 000000000000, eu-west-1?   y: yes   n: no']);
  expect(stage.cloud.requests.filter(isWrite)).toEqual([]);
  await stage.run();
  await stage.run(options);
  expect(asked).toHaveLength(1);
});
