import * as z from 'zod';

/**
 * The schemas of all names in messages and documents, and the AWS names and S3 keys that are built from names. A valid
 * name has no separator of a path, a URL or an S3 key, so a path, URL or key that contains it cannot point elsewhere.
 */

/**
 * Words that cannot name a service: the commands of `trigger-deploy`, and words that may become commands. Both
 * programs check this list. The publisher also refuses a command that is not listed, so a new command needs no new
 * agent.
 */
export const RESERVED_NAMES: readonly string[] = [
  'push',
  'deploy',
  'rollback',
  'promote',
  'restart',
  'status',
  'history',
  'show',
  'watch',
  'resume',
  'cancel',
  'confirm',
  'pause',
  'unpause',
  'plan',
  'gc',
  'doctor',
  'init',
  'keygen',
  'help',
  'completion',
  'versions',
];

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._+~-]*$/;
/** May begin with a dot and have spaces inside, as `.env` does. It is no option, no `.` and no home directory. */
const ARTIFACT_NAME = /^\.?[A-Za-z0-9_]([A-Za-z0-9._+~@ -]*[A-Za-z0-9._+~@-])?$/;
/**
 * The name of the file in a release's directory that lists the release's artifacts. It is the last file written before
 * the rename that publishes the release: a release is complete if and only if this file exists and is valid. No entry
 * of an archive and no config file may have it.
 */
export const RECORD_NAME = '.release.json';
const noDots = (value: string) => !value.includes('..');

export const envName = z
  .string()
  .regex(/^[a-z0-9]{1,16}$/, 'an environment name has 1 to 16 characters of a-z and 0-9');
export const serviceName = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,62}$/,
    'a service name has a-z, 0-9, - and _, begins with a letter, and has 63 characters at most',
  )
  .refine((name) => !RESERVED_NAMES.includes(name), {
    error: 'that word is a command of trigger-deploy and cannot name a service',
  });
export const versionName = z
  .string()
  .max(64, 'a version has 64 characters at most')
  .regex(FILE_NAME, 'a version is letters, digits and . _ + ~ -, and begins with a letter or digit')
  .refine(noDots, { error: 'a version has no ".."' })
  .refine((version) => version !== 'latest', {
    error: '"latest" means the newest push and cannot be a version',
  });
/** 48 characters at most, so that the queue name `trigger-deploy-ENV-INSTANCE` stays within the 80 that SQS allows. */
export const instanceId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/, 'an instance id is letters, digits, - and _, 48 at most')
  .refine((id) => !id.startsWith('reply-'), { error: 'an instance id cannot begin with "reply-"' });
export const artifactName = z
  .string()
  .max(128, 'a file name has 128 characters at most')
  .regex(
    ARTIFACT_NAME,
    'a file name has letters, digits, spaces and . _ + ~ @ - only, and begins with a letter, a digit, "_" or "."',
  )
  .refine(noDots, { error: 'a file name has no ".."' })
  .refine((name) => name !== RECORD_NAME, {
    error: `${RECORD_NAME} is the agent's own file in every release`,
  });
/** A path in a release: at least one directory and a file name, all of them artifact names. So it cannot leave the release. */
export const releasePath = z
  .string()
  .max(128, 'a path in a release has 128 characters at most')
  .refine((path) => path.includes('/'), { error: 'a path in a release has a directory' })
  .refine((path) => path.split('/').length <= 8, { error: 'a path in a release has 7 directories at most' })
  .superRefine((path, context) => {
    for (const segment of path.split('/')) {
      const wrong = artifactName.safeParse(segment).error?.issues[0];
      if (wrong) context.addIssue(`between the "/" of a path in a release: ${wrong.message}`);
      if (wrong) return;
    }
  });
/**
 * The name of the artifact that is put to `path` in the release: `config/app.yml` is stored as `config@app.yml`. Agents
 * that do not know paths refuse a name with an `@`: they cannot put the file into the wrong directory.
 */
export const artifactNameAt = (path: string): string => path.replaceAll('/', '@');
/**
 * The name of the artifact that is made of the local file `path`. apt writes the epoch of a version into the name of a
 * .deb (`redis-server_5%3a7.0.15-1_amd64.deb`); the artifact's name leaves it out, like Debian's archive.
 */
export function artifactNameOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.endsWith('.deb') ? name.replace(/^([^_]+_)\d+%3a/i, '$1') : name;
}
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 is 64 lower-case hex digits');
/** https://github.com/ulid/spec: 48 bits of time and 80 random bits in Crockford's base 32. */
export const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/, 'a deployment id is a ULID');

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A new ULID for `now` (ms since the epoch); ids of later milliseconds sort after those of earlier ones. */
export function newUlid(now: number): string {
  let chance = '';
  // Most programs that read names make none: loading node:crypto takes 5 ms.
  const { randomBytes } = process.getBuiltinModule('node:crypto');
  for (const byte of randomBytes(16)) chance += CROCKFORD.charAt(byte % 32);
  return timePart(now) + chance;
}

/** The first of all ULIDs of this time (ms since the epoch; 0 when it is before that). */
export const ulidOf = (time: number): string => timePart(Math.max(0, Math.floor(time))).padEnd(26, '0');

function timePart(now: number): string {
  let time = '';
  for (let left = now, i = 0; i < 10; i += 1, left = Math.floor(left / 32)) {
    time = CROCKFORD.charAt(left % 32) + time;
  }
  return time;
}

/** The time a ULID was made, ms since the epoch. */
export function ulidTime(id: string): number {
  let time = 0;
  for (const character of id.slice(0, 10)) time = time * 32 + CROCKFORD.indexOf(character);
  return time;
}

/** The alias of the KMS key that signs for the environment, unless `signingKey` names another one. */
export const signingKeyAlias = (env: string) => `alias/trigger-deploy-${env}`;
export const topicName = (env: string) => `trigger-deploy-${env}`;
export const agentQueueName = (env: string, instance: string) => `trigger-deploy-${env}-${instance}`;
/** The topic of the notifications, where `init` or a printed template makes one. */
export const eventsTopicName = (env: string) => `trigger-deploy-${env}-events`;
/** The names of the roles; the instance profile has the name of the agent's. */
export const roleName = (env: string, role: string) => `trigger-deploy-${env}-${role}`;
export const replyQueueName = (env: string, id: string) => `trigger-deploy-${env}-reply-${id}`;

/** The tag of an instance's queue that has the `aws:userid` of the instance: policies compare it with the caller's. */
export const USERID_TAG = 'trigger-deploy:userid';
/** The other tags of queues that trigger-deploy sets. No other tag may begin like these. */
export const ENV_TAG = 'trigger-deploy:env';
export const INSTANCE_TAG = 'trigger-deploy:instance';
export const SERVICES_TAG = 'trigger-deploy:services';

/** Whether `name` is the name of a reply queue of `env`. An announcement may name no other queue as `replyTo`. */
export function isReplyQueueName(env: string, name: string): boolean {
  const prefix = replyQueueName(env, '');
  return name.startsWith(prefix) && ulid.safeParse(name.slice(prefix.length)).success;
}

/** What the key of a part of a log is made of. */
export interface LogPartName {
  /** Which log: 16 hex digits. The parts of one log are together, in their order. */
  id: string;
  /** The name of the file when it was first seen, or of the unit. Anything. */
  name: string;
  /** When the log was first seen, ms since the epoch. */
  since: number;
  /** The bytes of the log that the part has: from `start` up to, but not including, `end`. */
  start: number;
  end: number;
  compressed: boolean;
}

function logFolder({ id, name, since }: LogPartName): string {
  const [day = '', time = ''] = new Date(since).toISOString().slice(0, 19).split('T');
  const safe = name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 80);
  return `${day}/${time.replaceAll(':', '')}-${safe}-${id}`;
}

/** An offset as text that sorts as the number does. */
const place = (offset: number) => String(offset).padStart(15, '0');

/** The keys in the environment's bucket. */
export const keys = {
  /** Of all services: what every key of a pushed version begins with. */
  versions: () => 'artifacts/',
  artifact: (service: string, version: string, sha256: string, name: string) =>
    `artifacts/${service}/${version}/${sha256}/${name}`,
  manifest: (service: string, version: string) => `artifacts/${service}/${version}/manifest.jws`,
  artifacts: (service: string) => `artifacts/${service}/`,
  index: (service: string) => `artifacts/${service}/index.json`,
  /** Of all environments that share the bucket. */
  anyRecord: () => 'state/*',
  services: (env: string) => `state/${env}/`,
  lock: (env: string, service: string) => `state/${env}/${service}/lock.json`,
  queue: (env: string, service: string) => `state/${env}/${service}/line.json`,
  desired: (env: string, service: string) => `state/${env}/${service}/desired.jws`,
  deployments: (env: string, service: string) => `state/${env}/${service}/deployments/`,
  deployment: (env: string, service: string, id: string) =>
    `state/${env}/${service}/deployments/${id}/deployment.jws`,
  /** The record that publishers before signed records wrote. It is only shown. */
  unsignedDeployment: (env: string, service: string, id: string) =>
    `state/${env}/${service}/deployments/${id}/deployment.json`,
  reports: (env: string, service: string, id: string) => `state/${env}/${service}/deployments/${id}/reports/`,
  /** Both end in the `aws:userid` of the instance: IAM lets an instance write no other. */
  report: (env: string, service: string, id: string, userId: string) =>
    `state/${env}/${service}/deployments/${id}/reports/${userId}.json`,
  decision: (env: string, service: string, id: string, kind: string) =>
    `state/${env}/${service}/deployments/${id}/${kind}.jws`,
  /** What the publisher that drives the deployment has heard: unsigned, shown and never believed. */
  pulse: (env: string, service: string, id: string) => `state/${env}/${service}/deployments/${id}/pulse.json`,
  /** The record of a deployment with all that belongs to it. */
  deploymentFolder: (env: string, service: string, id: string) =>
    `state/${env}/${service}/deployments/${id}/`,
  instances: (env: string, service: string) => `state/${env}/${service}/instances/`,
  instance: (env: string, service: string, userId: string) =>
    `state/${env}/${service}/instances/${userId}.json`,
  /** No service is called `-`. The key has the form of an instance record, which IAM lets an instance write. */
  heartbeats: (env: string) => `state/${env}/-/instances/`,
  heartbeat: (env: string, userId: string) => `state/${env}/-/instances/${userId}.json`,
  changes: (env: string) => `state/${env}/changes.json`,
  /** Of all services. */
  allLogs: (env: string) => `logs/${env}/`,
  logs: (env: string, service: string) => `logs/${env}/${service}/`,
  /** Below the `aws:userid` of the instance, as its reports: IAM lets an instance write no other. */
  logPart: (env: string, service: string, userId: string, part: LogPartName) =>
    `logs/${env}/${service}/${userId}/${logFolder(part)}/${place(part.start)}-${place(part.end)}${part.compressed ? '.gz' : '.log'}`,
  pause: (env: string) => `state/${env}/pause.jws`,
  servicePause: (env: string, service: string) => `state/${env}/${service}/pause.jws`,
} as const;

/** Where the AWS things of an environment are. */
export interface AwsPlace {
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  partition: string;
  region: string;
  /** 12 digits. */
  account: string;
}

/** IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)". An ARN of S3 has no region and no account. */
export const arns = {
  topic: ({ partition, region, account }: AwsPlace, env: string) =>
    `arn:${partition}:sns:${region}:${account}:${topicName(env)}`,
  queue: ({ partition, region, account }: AwsPlace, name: string) =>
    `arn:${partition}:sqs:${region}:${account}:${name}`,
  bucket: ({ partition }: AwsPlace, bucket: string) => `arn:${partition}:s3:::${bucket}`,
  autoScalingGroup: ({ partition, region, account }: AwsPlace, name: string) =>
    `arn:${partition}:autoscaling:${region}:${account}:autoScalingGroup:*:autoScalingGroupName/${name}`,
  object: ({ partition }: AwsPlace, bucket: string, key: string) => `arn:${partition}:s3:::${bucket}/${key}`,
} as const;
