import { ALARM_COMMENT, type Alarm, type SelectorField } from './alarm.ts';
import { type Block, block, call, Expression, hcl, type Value } from './hcl.ts';
import { ec2Service, type Printed, SIGNING_KEY_ARN, trustOf, type WantedRole } from './printed.ts';
import {
  type Encryption,
  OBJECT_OWNERSHIP,
  PUBLIC_ACCESS_BLOCK,
  type Wanted,
  type WantedBucket,
  type WantedTopic,
} from './wanted.ts';

/** One environment as a Terraform configuration for HashiCorp's AWS provider. Pure. */

const to = (text: string) => new Expression(text);
/** What holds data is not destroyed with the rest. */
const KEPT = block('lifecycle', [], { prevent_destroy: true });

/** The configuration as HCL. */
export function terraform(printed: Printed): string {
  const { wanted, roles, signingKey, principal } = printed;
  const { topic, events, bucket, alarm } = wanted;
  const blocks = [
    ...settingsOf(wanted, principal),
    ...topicBlocks('announcements', topic),
    ...(events === undefined ? [] : topicBlocks('events', events)),
    ...bucketBlocks('deploys', bucket),
    ...roles.flatMap((role) => roleBlocks(role, wanted)),
    ...(signingKey === undefined ? [] : signingKeyBlocks(signingKey)),
    ...(alarm === undefined ? [] : alarmBlocks(alarm)),
    ...outputsOf(printed),
  ];
  return `${commentOf(wanted)}\n${hcl(blocks)}`;
}

function commentOf({ env, account, region, alarm }: Wanted): string {
  return [
    `# trigger-deploy, environment ${env}, for the account ${account} and the region ${region} only.`,
    `# Made by: trigger-deploy init --env ${env} --print terraform`,
    ...(alarm ? ALARM_COMMENT : []),
    '',
  ].join('\n');
}

function settingsOf({ region, account }: Wanted, principal: string): Block[] {
  const aws = { source: 'hashicorp/aws', version: '>= 5.0' };
  return [
    block('terraform', [], { required_version: '>= 1.3' }, block('required_providers', [], { aws })),
    block('provider', ['aws'], { region, allowed_account_ids: [account] }),
    block('variable', ['principal'], {
      description:
        'Who may assume the roles, but that of the instances: the ARN of a role, a user or the account',
      type: to('string'),
      default: principal,
    }),
  ];
}

const topicBlocks = (label: string, { name, policy }: WantedTopic): Block[] => [
  block('resource', ['aws_sns_topic', label], { name }),
  block('resource', ['aws_sns_topic_policy', label], {
    arn: to(`aws_sns_topic.${label}.arn`),
    policy: call('jsonencode', policy),
  }),
];

type AnyBucket = Pick<WantedBucket, 'name' | 'policy'> & Partial<WantedBucket>;

function bucketBlocks(label: string, { name, policy, lifecycle, encryption }: AnyBucket): Block[] {
  const bucket = to(`aws_s3_bucket.${label}.id`);
  const setting = (type: string, attributes: Block['attributes'], ...blocks: Block[]) =>
    block('resource', [type, label], { bucket, ...attributes }, ...blocks);
  return [
    block('resource', ['aws_s3_bucket', label], { bucket: name }, KEPT),
    setting('aws_s3_bucket_public_access_block', {
      block_public_acls: PUBLIC_ACCESS_BLOCK.BlockPublicAcls,
      ignore_public_acls: PUBLIC_ACCESS_BLOCK.IgnorePublicAcls,
      block_public_policy: PUBLIC_ACCESS_BLOCK.BlockPublicPolicy,
      restrict_public_buckets: PUBLIC_ACCESS_BLOCK.RestrictPublicBuckets,
    }),
    setting(
      'aws_s3_bucket_ownership_controls',
      {},
      block('rule', [], { object_ownership: OBJECT_OWNERSHIP }),
    ),
    setting('aws_s3_bucket_versioning', {}, block('versioning_configuration', [], { status: 'Enabled' })),
    setting(
      'aws_s3_bucket_server_side_encryption_configuration',
      {},
      encryptionBlock(encryption ?? { algorithm: 'AES256' }),
    ),
    setting('aws_s3_bucket_policy', {
      policy: call('jsonencode', policy),
      // S3 refuses a change of the policy while it changes the public access block.
      depends_on: [to(`aws_s3_bucket_public_access_block.${label}`)],
    }),
    ...(lifecycle === undefined
      ? []
      : [
          setting(
            'aws_s3_bucket_lifecycle_configuration',
            // The rules are about noncurrent versions.
            { depends_on: [to(`aws_s3_bucket_versioning.${label}`)] },
            ...lifecycle.map(({ id, prefix, noncurrentDays, uploadDays, currentDays }) =>
              block(
                'rule',
                [],
                { id, status: 'Enabled' },
                block('filter', [], { prefix }),
                block(
                  'expiration',
                  [],
                  currentDays === undefined ? { expired_object_delete_marker: true } : { days: currentDays },
                ),
                block('noncurrent_version_expiration', [], { noncurrent_days: noncurrentDays }),
                block('abort_incomplete_multipart_upload', [], { days_after_initiation: uploadDays }),
              ),
            ),
          ),
        ]),
  ];
}

function encryptionBlock(encryption: Encryption): Block {
  if (encryption.algorithm === 'AES256') {
    return block(
      'rule',
      [],
      {},
      block('apply_server_side_encryption_by_default', [], { sse_algorithm: 'AES256' }),
    );
  }
  const key = { sse_algorithm: 'aws:kms', kms_master_key_id: encryption.key };
  return block(
    'rule',
    [],
    { bucket_key_enabled: true },
    block('apply_server_side_encryption_by_default', [], key),
  );
}

function roleBlocks({ role, name, for: whose, policy }: WantedRole, wanted: Wanted): Block[] {
  const isInstances = whose === 'instances';
  const trust = trustOf(isInstances ? { Service: ec2Service(wanted) } : { AWS: to('var.principal') });
  const label = role;
  return [
    block('resource', ['aws_iam_role', label], { name, assume_role_policy: call('jsonencode', trust) }),
    block('resource', ['aws_iam_role_policy', label], {
      name,
      role: to(`aws_iam_role.${label}.id`),
      policy: call('jsonencode', withSigningKey(policy)),
    }),
    ...(isInstances
      ? [
          block('resource', ['aws_iam_instance_profile', label], {
            name,
            role: to(`aws_iam_role.${label}.name`),
          }),
        ]
      : []),
  ];
}

/** The document with a reference in the place of the signing key's ARN. */
function withSigningKey(document: unknown): unknown {
  if (document === SIGNING_KEY_ARN) return to('aws_kms_key.signing.arn');
  if (Array.isArray(document)) return document.map(withSigningKey);
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(Object.entries(document).map(([key, value]) => [key, withSigningKey(value)]));
}

const signingKeyBlocks = ({ alias, policy }: NonNullable<Printed['signingKey']>): Block[] => [
  block(
    'resource',
    ['aws_kms_key', 'signing'],
    {
      description: 'Signs deployments of trigger-deploy',
      customer_master_key_spec: 'ECC_NIST_P256',
      key_usage: 'SIGN_VERIFY',
      policy: call('jsonencode', policy),
    },
    KEPT,
  ),
  block('resource', ['aws_kms_alias', 'signing'], {
    name: alias,
    target_key_id: to('aws_kms_key.signing.key_id'),
  }),
];

function alarmBlocks(alarm: Alarm): Block[] {
  return [
    ...bucketBlocks('trail', alarm.bucket),
    block(
      'resource',
      ['aws_cloudtrail', 'signed'],
      {
        name: alarm.name,
        s3_bucket_name: to('aws_s3_bucket.trail.id'),
        include_global_service_events: false,
        enable_log_file_validation: true,
        depends_on: [to('aws_s3_bucket_policy.trail')],
      },
      ...alarm.selectors.map(({ name, fields }) =>
        block('advanced_event_selector', [], { name }, ...fields.map(fieldSelector)),
      ),
    ),
    block('resource', ['aws_cloudwatch_event_rule', 'signed'], {
      name: alarm.name,
      description: 'Others than the publisher wrote or deleted signed documents',
      event_pattern: call('jsonencode', alarm.pattern),
    }),
    block('resource', ['aws_cloudwatch_event_target', 'signed'], {
      rule: to('aws_cloudwatch_event_rule.signed.name'),
      target_id: 'events-topic',
      arn: to('aws_sns_topic.events.arn'),
    }),
  ];
}

const fieldSelector = ({ field, equals, startsWith, endsWith, notStartsWith }: SelectorField) =>
  block('field_selector', [], {
    field,
    ...(equals && { equals }),
    ...(startsWith && { starts_with: startsWith }),
    ...(endsWith && { ends_with: endsWith }),
    ...(notStartsWith && { not_starts_with: notStartsWith }),
  } satisfies Record<string, Value>);

function outputsOf({ wanted, roles, signingKey }: Printed): Block[] {
  const output = (name: string, text: string) => block('output', [name], { value: to(text) });
  return [
    output('topic_arn', 'aws_sns_topic.announcements.arn'),
    output('bucket', 'aws_s3_bucket.deploys.id'),
    output('instance_profile', 'aws_iam_instance_profile.agent.name'),
    ...(wanted.events ? [output('events_topic_arn', 'aws_sns_topic.events.arn')] : []),
    ...(signingKey ? [output('signing_key_arn', 'aws_kms_key.signing.arn')] : []),
    ...roles.map(({ role }) => output(`${role}_role_arn`, `aws_iam_role.${role}.arn`)),
  ];
}
