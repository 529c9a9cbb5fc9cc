import { roleName } from '../../shared/names.ts';
import { documentOf, type PolicyDocument, type Statement } from './policy-document.ts';

/**
 * The alarm: a notification when anyone but the publisher writes or deletes a signed document (`*.jws`).
 *
 * The events of S3 (to SNS, SQS or EventBridge) cannot tell the publisher from a thief: the ones to EventBridge name only the
 * account, the others an id of a role that is not known before the role exists, and neither can be filtered by it. Data
 * events of CloudTrail name the role, and an advanced event selector filters by it before anything is logged or paid: in
 * health the trail logs nothing. EventBridge hands each event to the topic of the notifications.
 *
 * It sees PUT, copy, multipart uploads and deletions of `*.jws`, and each DeleteObjects call, whose event names no key;
 * refused calls too. It does not see: what the publisher's own role does, so not its theft; the same of the role of `gc`,
 * which can only delete, where the template makes one; what a lifecycle rule removes; a
 * change of the trail, the rule or the topic by their administrator. CloudTrail delivers on a best effort basis, typically
 * within minutes. All of it is CloudTrail User Guide, "Logging data events", and EventBridge, "Amazon S3 events".
 */

/** The same for those who read a template. */
export const ALARM_COMMENT = [
  '# The alarm tells the topic for notifications when anyone but the publisher writes or deletes a signed document (*.jws).',
  '# It does not see what the role of the publisher does, what that of gc deletes, if it is made here, or what a lifecycle',
  '# rule removes. CloudTrail charges for what it logs: writes by others only. An event arrives within minutes, on a best',
  '# effort basis.',
];

export interface Alarm {
  /** The trail, the rule and the bucket of the trail have this name. */
  name: string;
  trailArn: string;
  ruleArn: string;
  eventsArn: string;
  bucket: { name: string; arn: string; policy: PolicyDocument };
  /** Of the trail; all fields of one selector must match. */
  selectors: readonly Selector[];
  /** Of the rule. */
  pattern: object;
}

export interface Selector {
  name: string;
  fields: readonly SelectorField[];
}
export interface SelectorField {
  field: string;
  equals?: readonly string[];
  startsWith?: readonly string[];
  endsWith?: readonly string[];
  notStartsWith?: readonly string[];
}

interface AlarmPlace {
  env: string;
  region: string;
  account: string;
  partition: string;
  bucket: string;
  bucketArn: string;
  eventsArn: string;
  /** Whether there is a role of `gc`: what it deletes is no alarm. */
  hasGc: boolean;
}

export function alarmOf({
  env,
  region,
  account,
  partition,
  bucket,
  bucketArn,
  eventsArn,
  hasGc,
}: AlarmPlace): Alarm {
  const name = `trigger-deploy-${env}-signed`;
  const trailArn = `arn:${partition}:cloudtrail:${region}:${account}:trail/${name}`;
  const trailBucket = `${bucket}-trail`;
  const trailBucketArn = `arn:${partition}:s3:::${trailBucket}`;
  const sessionOf = (role: string) => `arn:${partition}:sts::${account}:assumed-role/${roleName(env, role)}/`;
  const publisher = sessionOf('publisher');
  const writes: readonly SelectorField[] = [
    { field: 'eventCategory', equals: ['Data'] },
    { field: 'resources.type', equals: ['AWS::S3::Object'] },
    { field: 'readOnly', equals: ['false'] },
    { field: 'resources.ARN', startsWith: [`${bucketArn}/`] },
    { field: 'userIdentity.arn', notStartsWith: [publisher, ...(hasGc ? [sessionOf('gc')] : [])] },
  ];
  const signed = writes.map((one) => (one.field === 'resources.ARN' ? { ...one, endsWith: ['.jws'] } : one));
  return {
    ...{ name, trailArn, eventsArn },
    ruleArn: `arn:${partition}:events:${region}:${account}:rule/${name}`,
    bucket: {
      name: trailBucket,
      arn: trailBucketArn,
      policy: documentOf(...trailStatements(trailBucketArn, trailArn, account)),
    },
    selectors: [
      { name: 'Writes to signed documents by others than the publisher', fields: signed },
      {
        name: 'Deletions of many objects, whose keys are not in the event',
        fields: [...writes, { field: 'eventName', equals: ['DeleteObjects'] }],
      },
    ],
    // Another trail of the account may log more than this one, and the rule sees the events of all trails.
    pattern: {
      source: ['aws.s3'],
      'detail-type': ['AWS API Call via CloudTrail'],
      detail: {
        eventSource: ['s3.amazonaws.com'],
        readOnly: [false],
        requestParameters: { bucketName: [bucket] },
        userIdentity: {
          arn: [{ 'anything-but': { prefix: publisher } }, { exists: false }],
          // `anything-but` takes one prefix, so the other role is told by its own ARN.
          ...(hasGc && {
            sessionContext: {
              sessionIssuer: {
                arn: [
                  { 'anything-but': `arn:${partition}:iam::${account}:role/${roleName(env, 'gc')}` },
                  { exists: false },
                ],
              },
            },
          }),
        },
        $or: [{ requestParameters: { key: [{ suffix: '.jws' }] } }, { eventName: ['DeleteObjects'] }],
      },
    },
  };
}

/** CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail". */
const trailStatements = (bucketArn: string, trailArn: string, account: string): readonly Statement[] => [
  {
    Sid: 'TriggerDeployTrailAcl',
    Effect: 'Allow',
    Principal: { Service: 'cloudtrail.amazonaws.com' },
    Action: 's3:GetBucketAcl',
    Resource: bucketArn,
    Condition: { StringEquals: { 'aws:SourceArn': trailArn } },
  },
  {
    Sid: 'TriggerDeployTrailWrite',
    Effect: 'Allow',
    Principal: { Service: 'cloudtrail.amazonaws.com' },
    Action: 's3:PutObject',
    Resource: `${bucketArn}/AWSLogs/${account}/*`,
    Condition: {
      StringEquals: { 'aws:SourceArn': trailArn, 's3:x-amz-acl': 'bucket-owner-full-control' },
    },
  },
];

/** Lets the rule publish to the topic of the notifications. */
export const mayPublishAlarms = ({ ruleArn, eventsArn }: Alarm): Statement => ({
  Sid: 'TriggerDeployAlarms',
  Effect: 'Allow',
  Principal: { Service: 'events.amazonaws.com' },
  Action: 'sns:Publish',
  Resource: eventsArn,
  Condition: { ArnEquals: { 'aws:SourceArn': ruleArn } },
});
