import { stringify } from 'yaml';
import { ALARM_COMMENT, type Alarm, type SelectorField } from './alarm.ts';
import { ec2Service, type Printed, SIGNING_KEY_ARN, trustOf, type WantedRole } from './printed.ts';
import {
  type Encryption,
  OBJECT_OWNERSHIP,
  PUBLIC_ACCESS_BLOCK,
  type Wanted,
  type WantedBucket,
  type WantedTopic,
} from './wanted.ts';

/** One environment as a CloudFormation template. Pure. */

interface Resource {
  Type: string;
  Properties: Readonly<Record<string, unknown>>;
  DependsOn?: string;
  /** What holds data stays when the stack is deleted. */
  DeletionPolicy?: 'Retain';
  UpdateReplacePolicy?: 'Retain';
}
type Resources = Readonly<Record<string, Resource>>;

const ref = (name: string) => ({ Ref: name });
const arnOf = (name: string) => ({ 'Fn::GetAtt': [name, 'Arn'] });
const KEPT = { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' } as const;

/** The template as YAML. */
export function cloudFormation(printed: Printed): string {
  const { wanted, roles, principal } = printed;
  const template = {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `trigger-deploy: the environment ${wanted.env}`,
    Parameters: {
      Principal: {
        Type: 'String',
        Default: principal,
        Description:
          'Who may assume the roles, but that of the instances: the ARN of a role, a user or the account',
      },
    },
    Resources: resourcesOf(printed),
    Outputs: outputsOf(roles, printed),
  };
  // In the YAML of CloudFormation, which is 1.1, a date or an account without quotes is no text.
  return `${commentOf(wanted)}${stringify(template, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function commentOf({ env, account, region, alarm }: Wanted): string {
  return [
    `# trigger-deploy, environment ${env}, for the account ${account} and the region ${region} only.`,
    `# Made by: trigger-deploy init --env ${env} --print cloudformation`,
    '# aws cloudformation deploy --template-file FILE --stack-name NAME --capabilities CAPABILITY_NAMED_IAM',
    ...(alarm ? ALARM_COMMENT : []),
    '',
  ].join('\n');
}

function resourcesOf(printed: Printed): Resources {
  const { wanted, roles, signingKey } = printed;
  const { topic, events, bucket, alarm } = wanted;
  return {
    ...topicResources('Topic', topic),
    ...(events === undefined ? {} : topicResources('EventsTopic', events)),
    ...bucketResources('Bucket', bucket),
    ...Object.assign({}, ...roles.map((role) => roleResources(role, printed))),
    ...(signingKey === undefined ? {} : signingKeyResources(signingKey)),
    ...(alarm === undefined ? {} : alarmResources(alarm)),
  };
}

const topicResources = (name: string, { name: TopicName, policy }: WantedTopic): Resources => ({
  [name]: { Type: 'AWS::SNS::Topic', Properties: { TopicName } },
  [`${name}Policy`]: {
    Type: 'AWS::SNS::TopicPolicy',
    Properties: { Topics: [ref(name)], PolicyDocument: policy },
  },
});

type AnyBucket = Pick<WantedBucket, 'name' | 'policy'> & Partial<WantedBucket>;

const bucketResources = (name: string, { lifecycle, encryption, ...bucket }: AnyBucket): Resources => ({
  [name]: {
    Type: 'AWS::S3::Bucket',
    ...KEPT,
    Properties: {
      BucketName: bucket.name,
      PublicAccessBlockConfiguration: PUBLIC_ACCESS_BLOCK,
      OwnershipControls: { Rules: [{ ObjectOwnership: OBJECT_OWNERSHIP }] },
      VersioningConfiguration: { Status: 'Enabled' },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [encryptionRule(encryption ?? { algorithm: 'AES256' })],
      },
      ...(lifecycle && {
        LifecycleConfiguration: {
          Rules: lifecycle.map(({ id, prefix, noncurrentDays, uploadDays, currentDays }) => ({
            Id: id,
            Status: 'Enabled',
            Prefix: prefix,
            ...(currentDays === undefined
              ? { ExpiredObjectDeleteMarker: true }
              : { ExpirationInDays: currentDays }),
            NoncurrentVersionExpiration: { NoncurrentDays: noncurrentDays },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: uploadDays },
          })),
        },
      }),
    },
  },
  [`${name}Policy`]: {
    Type: 'AWS::S3::BucketPolicy',
    Properties: { Bucket: ref(name), PolicyDocument: bucket.policy },
  },
});

const encryptionRule = (encryption: Encryption) =>
  encryption.algorithm === 'AES256'
    ? { ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }
    : {
        BucketKeyEnabled: true,
        ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: encryption.key },
      };

const logicalName = ({ role }: WantedRole) => `${role.charAt(0).toUpperCase()}${role.slice(1)}Role`;

function roleResources(role: WantedRole, { wanted }: Printed): Resources {
  const name = logicalName(role);
  const isInstances = role.for === 'instances';
  const trust = isInstances ? { Service: ec2Service(wanted) } : { AWS: ref('Principal') };
  return {
    [name]: {
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: role.name,
        AssumeRolePolicyDocument: trustOf(trust),
        Policies: [{ PolicyName: role.name, PolicyDocument: withSigningKey(role.policy) }],
      },
    },
    ...(isInstances && {
      AgentProfile: {
        Type: 'AWS::IAM::InstanceProfile',
        Properties: { InstanceProfileName: role.name, Roles: [ref(name)] },
      },
    }),
  };
}

/** The document with a reference in the place of the signing key's ARN. */
function withSigningKey(document: unknown): unknown {
  if (document === SIGNING_KEY_ARN) return arnOf('SigningKey');
  if (Array.isArray(document)) return document.map(withSigningKey);
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(Object.entries(document).map(([key, value]) => [key, withSigningKey(value)]));
}

const signingKeyResources = ({ alias, policy }: NonNullable<Printed['signingKey']>): Resources => ({
  SigningKey: {
    Type: 'AWS::KMS::Key',
    ...KEPT,
    Properties: {
      Description: 'Signs deployments of trigger-deploy',
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      KeyPolicy: policy,
    },
  },
  SigningKeyAlias: {
    Type: 'AWS::KMS::Alias',
    Properties: { AliasName: alias, TargetKeyId: arnOf('SigningKey') },
  },
});

function alarmResources(alarm: Alarm): Resources {
  return {
    ...bucketResources('TrailBucket', alarm.bucket),
    Trail: {
      Type: 'AWS::CloudTrail::Trail',
      DependsOn: 'TrailBucketPolicy',
      Properties: {
        TrailName: alarm.name,
        S3BucketName: ref('TrailBucket'),
        IsLogging: true,
        EnableLogFileValidation: true,
        AdvancedEventSelectors: alarm.selectors.map(({ name, fields }) => ({
          Name: name,
          FieldSelectors: fields.map(fieldSelector),
        })),
      },
    },
    AlarmRule: {
      Type: 'AWS::Events::Rule',
      Properties: {
        Name: alarm.name,
        Description: 'Others than the publisher wrote or deleted signed documents',
        EventPattern: alarm.pattern,
        State: 'ENABLED',
        Targets: [{ Id: 'events-topic', Arn: ref('EventsTopic') }],
      },
    },
  };
}

const fieldSelector = ({ field, equals, startsWith, endsWith, notStartsWith }: SelectorField) => ({
  Field: field,
  ...(equals && { Equals: equals }),
  ...(startsWith && { StartsWith: startsWith }),
  ...(endsWith && { EndsWith: endsWith }),
  ...(notStartsWith && { NotStartsWith: notStartsWith }),
});

function outputsOf(roles: readonly WantedRole[], { wanted, signingKey }: Printed) {
  return {
    TopicArn: { Value: ref('Topic') },
    BucketName: { Value: ref('Bucket') },
    InstanceProfile: { Value: ref('AgentProfile') },
    ...(wanted.events && { EventsTopicArn: { Value: ref('EventsTopic') } }),
    ...(signingKey && { SigningKeyArn: { Value: arnOf('SigningKey') } }),
    ...Object.fromEntries(
      roles.map((role) => [`${logicalName(role)}Arn`, { Value: arnOf(logicalName(role)) }]),
    ),
  };
}
