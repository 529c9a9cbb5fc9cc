import { type AwsPlace, arns } from '../../shared/names.ts';

/** A statement of an IAM policy, as IAM takes it (IAM User Guide, "IAM JSON policy elements reference"). */
export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Condition;
}

/** Per operator the keys, and per key the values. */
export type Condition = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

/** One environment in AWS, and what is used of the features that need more permissions. */
export interface PolicyPlace extends AwsPlace {
  readonly env: string;
  readonly bucket: string;
  readonly features?: Features;
}

/** What is off until it is configured. A feature that is left out is granted nothing. */
export interface Features {
  /** What the names of instances look like, with `*`. The ids of EC2, `i-*`, when left out. */
  readonly instances?: readonly string[];
  /** The target groups of services with `traffic:`, ARNs. */
  readonly targetGroups?: readonly string[];
  /** The Auto Scaling groups whose lifecycle hooks the agents complete (`lifecycle.autoScaling`): names, with `*`. */
  readonly autoScalingGroups?: readonly string[];
  /** The buckets to which instances upload logs: services with `logs:`. */
  readonly logs?: readonly string[];
  /** The KMS key with which the bucket encrypts, if it is one of this account's own: an ARN. */
  readonly bucketKey?: string;
  /** The keys of KMS that sign, ARNs: those of the keys, because an alias is no resource of these actions. Two during a rotation. */
  readonly signingKeys?: readonly string[];
  /** The topic of `notify: { events: ARN }`. */
  readonly events?: string;
  /** `queueTags:` of trigger-deploy.yaml: reply queues are created with tags. */
  readonly queueTags?: boolean;
  /** `ec2: true` of trigger-deploy.yaml: EC2 is asked which instances are gone. */
  readonly ec2?: boolean;
  /** `alarms:` of a service: the publisher reads CloudWatch alarms. */
  readonly alarms?: boolean;
  /** `promote --from` copies package files out of this environment: a reader may read them. */
  readonly promotedFrom?: boolean;
}

/**
 * IAM puts the caller's own userid in its place: `ROLEID:SESSION` of a role session (IAM User Guide, "IAM JSON policy
 * elements: Variables and tags").
 */
export const OWN_USERID = variable('aws:userid');

/** A statement that allows, under the name `Sid`. */
export function allow(
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[],
  Condition?: Condition,
): Statement {
  return { Sid, Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) };
}

/** The ARNs of objects in the environment's bucket. */
export const objects = (place: PolicyPlace, ...keys: string[]) =>
  keys.map((key) => arns.object(place, place.bucket, key));

/**
 * What a role needs of the bucket's own KMS key; nothing when S3 encrypts with its own keys. The key is for requests of
 * S3 only (KMS Developer Guide, "kms:ViaService"). `s3.REGION.amazonaws.com` ends in `.cn` in China.
 */
export function bucketKey({ region, features }: PolicyPlace, ...actions: string[]): Statement[] {
  if (features?.bucketKey === undefined) return [];
  return [
    allow('KeyOfTheBucket', actions, [features.bucketKey], {
      StringLike: { 'kms:ViaService': `s3.${region}.amazonaws.com*` },
    }),
  ];
}

function variable(key: string): string {
  return `\${${key}}`;
}
