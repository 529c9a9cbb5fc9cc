import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUCKET, openSetup, type SetupStage } from '../../../support/publisher/setup-stage.ts';

let stage: SetupStage;
beforeEach(async () => {
  stage = await openSetup();
});
afterEach(() => stage.stop());

const config = (kind: string) => stage.cloud.bucketConfig(BUCKET, kind) ?? '';
const statements = (policy: string) => (JSON.parse(policy) as { Statement: { Sid: string }[] }).Statement;
const sids = (policy: string) => statements(policy).map(({ Sid }) => Sid);

describe('what belongs to others stays:', () => {
  const foreign = {
    Sid: 'Audit',
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:DeleteBucket',
    Resource: `arn:aws:s3:::${BUCKET}`,
  };
  const rule = (id: string, prefix: string, action: string) =>
    `<Rule><ID>${id}</ID><Status>Enabled</Status><Prefix>${prefix}</Prefix>${action}</Rule>`;
  const lifecycle = (...rules: string[]) =>
    `<LifecycleConfiguration>${rules.join('')}</LifecycleConfiguration>`;

  test('statements of a bucket policy, beside the own ones', async () => {
    await stage.run();
    const policy = JSON.stringify({ Version: '2008-10-17', Id: 'theirs', Statement: [foreign] });
    stage.cloud.setBucketConfig(BUCKET, 'policy', policy);
    await stage.run();
    expect(JSON.parse(config('policy'))).toMatchObject({
      Version: '2008-10-17',
      Id: 'theirs',
      Statement: [foreign, {}],
    });
    expect(sids(config('policy'))).toEqual(['Audit', 'TriggerDeployTlsOnly']);
  });

  test('a statement that says the same under another name is right, and nothing is written', async () => {
    await stage.run();
    const [own] = statements(config('policy'));
    const theirs = { ...own, Sid: 'AllowSSLRequestsOnly', Principal: { AWS: '*' }, Action: ['S3:*'] };
    stage.cloud.setBucketConfig(BUCKET, 'policy', JSON.stringify({ Statement: theirs }));
    expect((await stage.run()).writes).toEqual([]);
  });

  test('rules of a lifecycle, also of the old form', async () => {
    await stage.run();
    const abort =
      '<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>';
    stage.cloud.setBucketConfig(BUCKET, 'lifecycle', lifecycle(rule('theirs', 'reports/', abort)));
    const { writes, exitCode } = await stage.run();
    expect({ writes, exitCode }).toEqual({ writes: ['PutBucketLifecycleConfiguration'], exitCode: 0 });
    expect([...config('lifecycle').matchAll(/<ID>([^<]+)</g)].map(([, id]) => id)).toEqual([
      'theirs',
      'trigger-deploy-artifacts',
      'trigger-deploy-state-dev',
    ]);
  });

  test('own rules in the old form, as CloudFormation writes them, are right', async () => {
    await stage.run();
    stage.cloud.setBucketConfig(BUCKET, 'lifecycle', config('lifecycle').replace(/<\/?Filter>/g, ''));
    expect((await stage.run()).writes).toEqual([]);
  });

  test.each([
    [
      '',
      '<Expiration><Days>30</Days></Expiration>',
      /^the lifecycle rule "theirs" deletes current objects of the whole bucket/,
    ],
    [
      'state/',
      '<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>',
      /deletes current objects of state\//,
    ],
    [
      'artifacts/payments/',
      '<Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>',
      /to GLACIER/,
    ],
  ])('a rule that harms deployments stays, and is named: prefix "%s", %s', async (prefix, action, text) => {
    await stage.run();
    const own = config('lifecycle').replace(
      /^.*?<LifecycleConfiguration[^>]*>|<\/LifecycleConfiguration>$/g,
      '',
    );
    const theirs = `<Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>${prefix}</Prefix></Filter>${action}</Rule>`;
    stage.cloud.setBucketConfig(BUCKET, 'lifecycle', lifecycle(theirs, own));
    const { writes, steps, exitCode } = await stage.run();
    expect({ writes, exitCode }).toEqual({ writes: [], exitCode: 1 });
    expect(steps.find(({ state }) => state === 'wrong')?.text).toMatch(text);
  });

  test('a KMS key with which the owner encrypts the bucket', async () => {
    await stage.run();
    const kms =
      '<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>theirs</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>';
    stage.cloud.setBucketConfig(
      BUCKET,
      'encryption',
      `<ServerSideEncryptionConfiguration><Rule>${kms}</Rule></ServerSideEncryptionConfiguration>`,
    );
    expect((await stage.run()).writes).toEqual([]);
    const key = 'arn:aws:kms:eu-west-1:000000000000:key/ours';
    expect((await stage.run({ bucketKey: key })).writes).toEqual(['PutBucketEncryption']);
    expect(config('encryption')).toContain(`<KMSMasterKeyID>${key}<`);
  });
});

describe('nothing of another account is touched:', () => {
  test('a bucket', async () => {
    stage.cloud.createForeignBucket(BUCKET);
    const { writes, steps, exitCode } = await stage.run();
    expect({ writes, exitCode }).toEqual({ writes: ['CreateTopic'], exitCode: 4 });
    expect(steps.at(-1)?.text).toMatch(/it belongs to another account, or these credentials may not see it/);
  });

  test('a topic whose account is not that of the credentials', async () => {
    const place = { ...stage.place, account: '111111111111' };
    await expect(stage.run({ place })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'these credentials are of the account 000000000000, and the topic of dev is in 111111111111',
    });
    expect(stage.cloud.requests.map(({ operation }) => operation)).toEqual(['GetCallerIdentity']);
  });

  test('every request about a bucket names the account that must own it, but its creation', async () => {
    await stage.run();
    // The embedded cloud refuses any other account, so that nothing was refused shows that each was right.
    expect(stage.cloud.requests.filter(({ status }) => status === 403)).toEqual([]);
  });
});

test('SNS’s default statement leaves the topic of the announcements, and stays on the topic of notifications', async () => {
  const events = `${stage.topic}-events`;
  for (const arn of [stage.topic, events]) {
    stage.cloud.createTopic(arn.split(':').at(-1) ?? '');
    const Condition = { StringEquals: { 'AWS:SourceOwner': '000000000000' } };
    const standard = {
      Sid: '__default_statement_ID',
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: ['SNS:Publish'],
      Resource: arn,
      Condition,
    };
    stage.cloud.setTopicAttribute(
      arn,
      'Policy',
      JSON.stringify({ Version: '2008-10-17', Statement: [standard] }),
    );
  }
  expect((await stage.run({ events: true })).said.slice(0, 2)).toEqual([
    'changed topic trigger-deploy-dev',
    'changed events topic trigger-deploy-dev-events',
  ]);
  expect(sids(stage.cloud.topicAttribute(stage.topic, 'Policy') ?? '')).toEqual([
    'TriggerDeployAccount',
    'TriggerDeployTlsOnly',
  ]);
  expect(sids(stage.cloud.topicAttribute(events, 'Policy') ?? '')).toEqual([
    '__default_statement_ID',
    'TriggerDeployAccount',
    'TriggerDeployTlsOnly',
  ]);
});

test('a statement with the name of SNS’s default, and another condition or none, is somebody else’s and stays', async () => {
  stage.cloud.createTopic(stage.topic.split(':').at(-1) ?? '');
  const theirs = {
    ...{ Sid: '__default_statement_ID', Effect: 'Allow', Principal: { AWS: '*' } },
    ...{ Action: 'SNS:Subscribe', Resource: stage.topic },
  };
  stage.cloud.setTopicAttribute(stage.topic, 'Policy', JSON.stringify({ Statement: theirs }));
  const { exitCode } = await stage.run();
  expect(exitCode).toBe(0);
  expect(sids(stage.cloud.topicAttribute(stage.topic, 'Policy') ?? '')).toContain('__default_statement_ID');
});
