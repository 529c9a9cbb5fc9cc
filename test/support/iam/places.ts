import type { PolicyPlace } from '../../../publisher/setup/statements.ts';

const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

/** The environment of the documents, with every feature. */
export const EVERYTHING: PolicyPlace & { readonly features: object } = {
  env: 'dev',
  bucket: 'acme-deploys-dev',
  partition: 'aws',
  region: 'eu-west-1',
  account: '123456789012',
  features: {
    targetGroups: [
      'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/payments/0123456789abcdef',
    ],
    autoScalingGroups: ['payments'],
    logs: ['acme-deploys-dev'],
    bucketKey: KEY,
    signingKeys: ['arn:aws:kms:eu-west-1:123456789012:key/0987dcba-09fe-87dc-65ba-ab0987654321'],
    events: 'arn:aws:sns:eu-west-1:123456789012:deploy-events',
    queueTags: true,
    ec2: true,
    alarms: true,
    promotedFrom: true,
  },
};
