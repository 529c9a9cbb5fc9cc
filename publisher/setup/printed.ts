import { accountOfArn, kmsKeyOf, partitionOf } from '../../shared/aws-names.ts';
import { roleName, signingKeyAlias } from '../../shared/names.ts';
import { type PolicyDocument, policyOf, type Role } from './policies.ts';
import { documentOf, type PolicyDocument as ResourcePolicy } from './policy-document.ts';
import type { PolicyPlace } from './statements.ts';
import { isTopicOf, type Wanted, wantedOf } from './wanted.ts';

/** One environment with what only a template makes: roles and, where asked, a signing key in KMS. Pure. */

/** What the command line adds to a printed environment. */
export interface PrintOptions {
  bucketKey?: string | undefined;
  logDays?: number | undefined;
  events: boolean;
  /** Whether a write to a signed document by anyone but the publisher is told. */
  writeAlarm: boolean;
  /** Whether the template makes a KMS key that signs. */
  signingKey: boolean;
  /** Who may assume the roles, but that of the instances: an ARN; the account, which leaves it to IAM, when left out. */
  principal?: string | undefined;
  targetGroup?: readonly string[] | undefined;
  autoScalingGroup?: readonly string[] | undefined;
  logBucket?: readonly string[] | undefined;
  /** Names of instances that are not ids of EC2, with `*`. */
  instances?: readonly string[] | undefined;
  with?: readonly PrintedFeature[] | undefined;
}

/** Features that need permissions, besides those that the config names. */
export type PrintedFeature = 'logs' | 'alarms' | 'ec2' | 'queue-tags' | 'promote' | 'gc';

export interface PrintedPlace {
  env: string;
  region: string;
  account: string;
  bucket: string;
  /** The topic of notifications of the config. */
  events: string | undefined;
  signingKey: string | undefined;
  /** What the config uses. */
  uses: readonly PrintedFeature[];
}

export interface Printed {
  wanted: Wanted;
  roles: readonly WantedRole[];
  signingKey: { alias: string; policy: ResourcePolicy } | undefined;
  /** The ARN of who may assume the roles of people. */
  principal: string;
}

export interface WantedRole {
  role: Role;
  name: string;
  /** `instances`: EC2, by an instance profile. `people`: the principal. */
  for: 'instances' | 'people';
  policy: PolicyDocument;
}

/** Stands for the ARN of the signing key, which is not known before AWS has made it: a template refers to the key instead. */
export const SIGNING_KEY_ARN = 'ARN-OF-THE-SIGNING-KEY';

/** The roles that a template makes, and `gc` where asked. `setup` is of those who run it. */
const MADE = ['agent', 'publisher', 'reader', 'console'] as const satisfies Role[];

export function printedOf(place: PrintedPlace, options: PrintOptions): Printed {
  const { env, region, account } = place;
  const hasGc = options.with?.includes('gc') ?? false;
  const own = place.events === undefined ? undefined : isTopicOf(place.events, region, account);
  const wanted = wantedOf({
    ...place,
    ...{ bucketKey: options.bucketKey, logDays: options.logDays, alarm: options.writeAlarm, hasGc },
    events: own ? place.events : place.events === undefined && options.events ? true : undefined,
  });
  const root = `arn:${wanted.partition}:iam::${account}:root`;
  const where = placeOf(place, options, wanted);
  return {
    wanted,
    roles: [...MADE, ...(hasGc ? (['gc'] as const) : [])].map((role) => ({
      ...{ role, name: roleName(env, role), policy: policyOf(role, where) },
      for: role === 'agent' ? 'instances' : 'people',
    })),
    signingKey: options.signingKey ? { alias: aliasOf(place), policy: ofTheAccount(root) } : undefined,
    principal: options.principal ?? root,
  };
}

/** The place and the features for which policies are made. */
export function placeOf(place: PrintedPlace, options: PrintOptions, wanted?: Wanted): PolicyPlace {
  const { env, region, account, bucket, signingKey } = place;
  const events = place.events ?? wanted?.events?.arn;
  const configured = signingKey === undefined ? undefined : kmsKeyOf(signingKey);
  const keys = [
    ...(options.signingKey ? [SIGNING_KEY_ARN] : []),
    ...(configured !== undefined && isKeyArn(configured) ? [configured] : []),
  ];
  // A bucket's key of another account is for that account to grant.
  const bucketKey =
    options.bucketKey && accountOfArn(options.bucketKey) === account ? options.bucketKey : undefined;
  const uses = (feature: PrintedFeature) => place.uses.includes(feature) || options.with?.includes(feature);
  const logs = [...(uses('logs') ? [bucket] : []), ...(options.logBucket ?? [])];
  return {
    ...{ env, region, account, bucket, partition: partitionOf(region) },
    features: {
      ...(events !== undefined && { events }),
      ...(bucketKey !== undefined && { bucketKey }),
      ...(keys.length > 0 && { signingKeys: keys }),
      ...(options.targetGroup !== undefined && { targetGroups: options.targetGroup }),
      ...(options.autoScalingGroup !== undefined && { autoScalingGroups: options.autoScalingGroup }),
      ...(options.instances !== undefined && { instances: options.instances }),
      ...(logs.length > 0 && { logs }),
      ...(uses('alarms') && { alarms: true }),
      ...(uses('ec2') && { ec2: true }),
      ...(uses('queue-tags') && { queueTags: true }),
      ...(uses('promote') && { promotedFrom: true }),
    },
  };
}

/** Whether this is the ARN of a key of KMS, and not of an alias. */
export const isKeyArn = (key: string): boolean => /^arn:[^:]+:kms:[^:]*:\d+:key\//.test(key);

/** The alias that the config names, else the usual one. */
function aliasOf({ env, signingKey }: PrintedPlace): string {
  const configured = signingKey === undefined ? undefined : kmsKeyOf(signingKey);
  return configured?.startsWith('alias/') ? configured : signingKeyAlias(env);
}

/** KMS Developer Guide, "Default key policy": IAM of the account decides who may use the key. */
const ofTheAccount = (root: string) =>
  documentOf({ Sid: 'Account', Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' });

/** Who may assume a role. */
export const trustOf = (principal: Readonly<Record<string, unknown>>) => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole' }],
});

/** EC2 as a principal. China has a name of its own. */
export const ec2Service = ({ partition }: Wanted) =>
  partition === 'aws-cn' ? 'ec2.amazonaws.com.cn' : 'ec2.amazonaws.com';
