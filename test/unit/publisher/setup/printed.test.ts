import { describe, expect, test } from 'vitest';
import { printEnvironment } from '../../../../publisher/commands/print-environment.ts';
import type { SetupPlace } from '../../../../publisher/config/load-setup.ts';
import { type PrintOptions, printedOf } from '../../../../publisher/setup/printed.ts';
import * as cfn from '../../../support/setup/check-cloudformation.ts';
import * as tf from '../../../support/setup/check-terraform.ts';

const BARE: PrintOptions = { events: false, writeAlarm: false, signingKey: false };
const place = (more: Partial<Omit<SetupPlace, 'account'>> = {}) => ({
  ...{ env: 'dev', region: 'eu-west-1', bucket: 'acme-deploys-dev', account: '123456789012' },
  ...{ profile: undefined, role: undefined, pathStyle: false, events: undefined, signingKey: undefined },
  ...{ uses: [], places: undefined, isConfigured: false, file: undefined },
  ...more,
});
const EVERYTHING: PrintOptions = {
  ...{ events: true, writeAlarm: true, signingKey: true },
  principal: 'arn:aws:iam::123456789012:role/jenkins',
  bucketKey: 'arn:aws:kms:eu-west-1:123456789012:key/0a1b',
  logDays: 30,
  autoScalingGroup: ['payments-*'],
  logBucket: ['acme-logs'],
  with: ['logs', 'alarms', 'ec2', 'queue-tags', 'promote', 'gc'],
  targetGroup: ['arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef'],
};
const CASES: [string, Parameters<typeof printEnvironment>[1], PrintOptions][] = [
  ['the smallest', place(), BARE],
  ['with everything', place(), EVERYTHING],
  ['in China', place({ region: 'cn-north-1' }), { ...BARE, writeAlarm: true }],
  ['in GovCloud', place({ region: 'us-gov-west-1' }), { ...BARE, signingKey: true }],
  [
    'with the topic of notifications and the signing key of the config',
    place({
      events: 'arn:aws:sns:eu-west-1:123456789012:acme-deployments',
      signingKey: 'kms:alias/acme-deploys',
    }),
    { ...BARE, signingKey: true },
  ],
  [
    'with a topic of notifications of another account',
    place({ events: 'arn:aws:sns:eu-west-1:999999999999:acme' }),
    BARE,
  ],
];

describe.each(CASES)('an environment %s', (_title, where, options) => {
  test('is a template that CloudFormation’s own schemas accept', () => {
    expect(cfn.mistakesIn(cfn.readTemplate(printEnvironment('cloudformation', where, options)))).toEqual([]);
  });

  test('is a configuration that Terraform’s parser and the schema of the AWS provider accept', async () => {
    expect(tf.mistakesIn(await tf.readConfiguration(printEnvironment('terraform', where, options)))).toEqual(
      [],
    );
  });
});

describe('the checks see a mistake:', () => {
  const text = printEnvironment('cloudformation', place(), EVERYTHING);
  test.each([
    [
      'TopicName: trigger-deploy-dev\n',
      'TopicNames: trigger-deploy-dev\n',
      'Topic.TopicNames: unknown property',
    ],
    ['NoncurrentDays: 90', 'NoncurrentDays: "90"', 'expected a integer'],
    ['- Ref: AgentRole', '- Ref: AgentRoles', 'leads to no AgentRoles'],
    ['- SigningKey\n        - Arn', '- SigningKey\n        - Arns', 'leads to no SigningKey.Arns'],
    ['Type: AWS::SNS::TopicPolicy', 'Type: AWS::SNS::Policy', 'unknown type AWS::SNS::Policy'],
    ['      Topics:\n        - Ref: Topic\n', '', 'Topics: is required'],
  ])('CloudFormation: %s', (right, wrong, mistake) => {
    expect(text).toContain(right);
    const found = cfn.mistakesIn(cfn.readTemplate(text.replace(right, wrong)));
    expect(found.join('\n')).toContain(mistake);
  });

  const configuration = printEnvironment('terraform', place(), EVERYTHING);
  test.each([
    ['noncurrent_days = 90', 'noncurrent_day = 90', 'unknown argument'],
    ['aws_s3_bucket.deploys.id', 'aws_s3_bucket.deployments.id', 'leads to no resource'],
    ['aws_sns_topic.events.arn', 'aws_sns_topic.events.urn', 'leads to no attribute'],
    ['prevent_destroy = true', 'prevent_destroy = "yes"', 'expected boolean'],
    ['resource "aws_sns_topic" "events"', 'resource "aws_sns_topic" "announcements"', 'is there twice'],
  ])('Terraform: %s', async (right, wrong, mistake) => {
    expect(configuration).toContain(right);
    const found = tf.mistakesIn(await tf.readConfiguration(configuration.replace(right, wrong)));
    expect(found.join('\n')).toContain(mistake);
  });
});

const terraformReference = (path: string) => JSON.stringify(`\${${path}}`);

test('both templates have the roles with the same policies and the same trust', async () => {
  const { Resources } = cfn.readTemplate(printEnvironment('cloudformation', place(), EVERYTHING));
  const { resource } = await tf.readConfiguration(printEnvironment('terraform', place(), EVERYTHING));
  const sameReference = (document: unknown) =>
    JSON.parse(
      JSON.stringify(document)
        .replaceAll('{"Fn::GetAtt":["SigningKey","Arn"]}', '"KEY"')
        .replaceAll(terraformReference('aws_kms_key.signing.arn'), '"KEY"')
        .replaceAll('{"Ref":"Principal"}', '"PRINCIPAL"')
        .replaceAll(terraformReference('var.principal'), '"PRINCIPAL"'),
    );
  const { roles } = printedOf(place(), EVERYTHING);
  expect(roles.map(({ role }) => role)).toEqual(['agent', 'publisher', 'reader', 'console', 'gc']);
  for (const { role, name } of roles) {
    const found = Object.values(Resources).find(({ Properties }) => Properties.RoleName === name)?.Properties;
    const [policy] = (found?.Policies ?? []) as { PolicyDocument: unknown }[];
    const [inTerraform] = resource.aws_iam_role_policy?.[role] ?? [];
    const [itself] = resource.aws_iam_role?.[role] ?? [];
    expect(itself?.name).toBe(name);
    expect(sameReference(await tf.decoded(inTerraform?.policy))).toEqual(
      sameReference(policy?.PolicyDocument),
    );
    expect(sameReference(await tf.decoded(itself?.assume_role_policy))).toEqual(
      sameReference(found?.AssumeRolePolicyDocument),
    );
  }
});

test('the policy of a role fits into it: IAM takes 10,240 characters of inline policies', () => {
  for (const { policy } of printedOf(place(), EVERYTHING).roles) {
    expect(JSON.stringify(policy).length).toBeLessThan(10_240);
  }
});

test('the policies alone are one JSON object, by role', () => {
  const policies = JSON.parse(printEnvironment('iam', place(), BARE));
  expect(Object.keys(policies)).toEqual(['agent', 'publisher', 'reader', 'console', 'setup', 'gc']);
  expect(() => printEnvironment('iam', place(), { ...BARE, writeAlarm: true })).toThrow(
    /--write-alarm is for the templates/,
  );
});

test('what AWS would refuse, or what would lack a permission, is not printed', () => {
  const long = place({ bucket: 'a'.repeat(58) });
  expect(() => printEnvironment('terraform', long, { ...BARE, writeAlarm: true })).toThrow(
    /57 characters at most/,
  );
  const signing = place({ signingKey: 'kms:alias/acme-deploys' });
  expect(() => printEnvironment('cloudformation', signing, BARE)).toThrow(
    /a policy needs the ARN of that key/,
  );
  for (const bucketKey of ['arn:aws:kms:eu-west-1:123456789012:alias/deploys', 'arn:aws:s3:::acme']) {
    expect(() => printEnvironment('iam', place(), { ...BARE, bucketKey })).toThrow(/no ARN of a KMS key/);
  }
  const targetGroup = Array.from(
    { length: 99 },
    (_, i) => `arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/${i}/0123456789abcdef`,
  );
  for (const form of ['iam', 'terraform'] as const) {
    expect(() => printEnvironment(form, place(), { ...BARE, targetGroup })).toThrow(
      /the policy of agent has \d+ characters, and IAM takes 10240/,
    );
  }
  const arn = 'arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000000';
  expect(printEnvironment('iam', place({ signingKey: `kms:${arn}` }), BARE)).toContain(arn);
});

test.each([
  ['us-east-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['us-iso-east-1', 'aws-iso'],
  ['us-isob-east-1', 'aws-iso-b'],
  ['eu-isoe-west-1', 'aws-iso-e'],
  ['us-isof-south-1', 'aws-iso-f'],
  ['eusc-de-east-1', 'aws-eusc'],
])('in %s every ARN is of the partition %s', (region, partition) => {
  const text = (['cloudformation', 'terraform', 'iam'] as const)
    .map((form) => printEnvironment(form, place({ region }), BARE))
    .join('\n');
  const partitions = [...text.matchAll(/arn:([a-z-]+):/g)].map(([, one]) => one);
  expect(new Set(partitions)).toEqual(new Set([partition]));
});

test('what the role of gc deletes is no alarm where the template makes that role, and only there', () => {
  const print = (withGc: boolean) =>
    printEnvironment('cloudformation', place(), {
      ...BARE,
      writeAlarm: true,
      ...(withGc && { with: ['gc'] }),
    });
  const session = 'arn:aws:sts::123456789012:assumed-role/trigger-deploy-dev-gc/';
  const issuer = 'anything-but: arn:aws:iam::123456789012:role/trigger-deploy-dev-gc';
  expect(print(true).split(session)).toHaveLength(3);
  expect(print(true)).toContain(issuer);
  expect(print(false)).not.toContain('trigger-deploy-dev-gc');
});
