import { SQSClient } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { awsNames, domainOf, partitionOf } from '../../../shared/aws-names.ts';

/** The names of AWS that both config files accept. */

test.each([
  ['region', 'eusc-de-east-1', true],
  ['region', 'us-gov-west-1', true],
  ['region', 'us-iso-east-1', true],
  ['region', 'cn-north-1', true],
  ['region', 'eu-west', false],
  ['bucket', 'acme.deploys-dev', true],
  ['bucket', '192.168.1.1', false],
  ['bucket', 'acme..deploys', false],
  ['bucket', 'Acme', false],
  ['bucket', 'xn--acme', false],
  ['bucket', 'acme-s3alias', false],
  ['bucket', 'arn:aws:s3:eu-west-1:123456789012:accesspoint/acme', false],
  ['topic', 'arn:aws-eusc:sns:eusc-de-east-1:123456789012:trigger-deploy-dev', true],
  ['topic', 'arn:aws-cn:sns:cn-north-1:123456789012:trigger-deploy-dev', true],
  ['topic', 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev.fifo', false],
  ['topic', 'arn:aws:sns:nowhere:123456789012:trigger-deploy-dev', false],
  ['role', 'arn:aws-eusc:iam::123456789012:role/ci/deploy', true],
  ['role', 'arn:aws:iam::123456789012:user/ci', false],
  [
    'targetGroup',
    'arn:aws-eusc:elasticloadbalancing:eusc-de-east-1:123456789012:targetgroup/web/73e2d6bc',
    true,
  ],
  ['targetGroup', 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/73e2d6bc', false],
] as const)('as the %s of AWS, %s is accepted: %s', (kind, name, accepted) => {
  expect(awsNames[kind].safeParse(name).success).toBe(accepted);
});

test('a FIFO topic is refused by that name, whichever region and partition it is in', () => {
  for (const arn of [
    'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev.fifo',
    'arn:aws-eusc:sns:eusc-de-east-1:123456789012:t.fifo',
  ]) {
    expect(awsNames.topic.safeParse(arn).error?.issues).toMatchObject([
      { message: `expected the ARN of a standard topic, found a FIFO topic: "${arn}"` },
    ]);
  }
});

test.each([
  ['eu-west-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['us-iso-east-1', 'aws-iso'],
  ['us-isob-east-1', 'aws-iso-b'],
  ['eu-isoe-west-1', 'aws-iso-e'],
  ['us-isof-south-1', 'aws-iso-f'],
  ['eusc-de-east-1', 'aws-eusc'],
])('the region %s is in %s, and its domain is that of the SDK', (region, partition) => {
  expect(partitionOf(region)).toBe(partition);
  const { url } = new SQSClient({ region }).config.endpointProvider({ Region: region });
  expect(`sqs.${region}.${domainOf(region)}`).toBe(url.hostname);
});
