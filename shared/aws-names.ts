import * as z from 'zod';

/**
 * The names of AWS in the config files of both programs: one pattern and one text each, so that what one program
 * accepts the other accepts, too.
 */

const REGION = '[a-z]{2,4}(?:-[a-z]+)+-\\d{1,2}';
const ARN = 'arn:aws[a-z-]*';
const TOPIC = `${ARN}:sns:${REGION}:\\d{12}:[A-Za-z0-9_-]{1,256}`;
const FIFO_TOPIC = new RegExp(`^${TOPIC}\\.fifo$`);

const FORMS = {
  region: { what: 'an AWS region such as eu-west-1', pattern: new RegExp(`^${REGION}$`) },
  topic: { what: 'the ARN of an SNS topic', pattern: new RegExp(`^${TOPIC}$`) },
  bucket: {
    what: 'the name of an S3 bucket',
    /** S3 User Guide, "Bucket naming rules": no two dots in a row, no IP address, none of the reserved prefixes and suffixes. */
    pattern:
      /^(?!xn--|sthree-|amzn-s3-demo-|\d+\.\d+\.\d+\.\d+$)(?!.*(?:\.\.|-s3alias$|--ol-s3$|--x-s3$|\.mrap$))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  },
  role: { what: 'the ARN of a role', pattern: new RegExp(`^${ARN}:iam::\\d{12}:role/\\S+$`) },
  targetGroup: {
    what: 'the ARN of a target group',
    pattern: new RegExp(
      `^${ARN}:elasticloadbalancing:${REGION}:\\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{1,32}$`,
    ),
  },
} as const;
export type AwsNameKind = keyof typeof FORMS;

function awsName(kind: AwsNameKind) {
  const { what, pattern } = FORMS[kind];
  const error = ({ input }: { input?: unknown }) => {
    if (input === undefined || input === null) return `expected ${what}, found nothing`;
    const found = JSON.stringify(input);
    // SNS delivers from a FIFO topic to FIFO queues only, and one announcement after the other.
    return kind === 'topic' && FIFO_TOPIC.test(String(input))
      ? `expected the ARN of a standard topic, found a FIFO topic: ${found}`
      : `expected ${what}, found ${found}`;
  };
  return z.string({ error }).regex(pattern, { error });
}

/** The schema of each name. Its error says what was expected and what was found. */
export const awsNames = {
  region: awsName('region'),
  topic: awsName('topic'),
  bucket: awsName('bucket'),
  role: awsName('role'),
  targetGroup: awsName('targetGroup'),
} as const satisfies Record<AwsNameKind, z.ZodType<string>>;

const KMS = 'kms:';
/**
 * A key of KMS as `signingKey` names it. AWS KMS API Reference, "Sign" (KeyId) and "CreateAlias" (AliasName): an alias has
 * letters, digits, / _ and -; a key id is a UUID, or `mrk-` and 32 hex digits.
 */
const KMS_ID = '(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})';
const KMS_ALIAS = 'alias/[A-Za-z0-9/_-]{1,250}';
const KMS_KEY = new RegExp(
  `^(?:${KMS_ALIAS}|${KMS_ID}|${ARN}:kms:${REGION}:\\d{12}:(?:${KMS_ALIAS}|key/${KMS_ID}))$`,
);

/** The key of KMS that `signingKey` names, without `kms:`; undefined when it is the path of a file. */
export const kmsKeyOf = (signingKey: string): string | undefined =>
  signingKey.startsWith(KMS) ? signingKey.slice(KMS.length) : undefined;

/** Whether KMS can take it as the name of a key. */
export const isKmsKey = (key: string): boolean => KMS_KEY.test(key);

/** The region in an ARN; '' for an ARN without one, such as that of a role. */
export const regionOfArn = (arn: string): string => arn.split(':')[3] ?? '';

/** The account in an ARN; '' for an ARN without one, such as that of a bucket. */
export const accountOfArn = (arn: string): string => arn.split(':')[4] ?? '';

/** The beginning of the names of a partition's regions, the partition, and its domain (partitions.json of the AWS SDKs). */
const PARTITIONS = [
  ['cn-', 'aws-cn', 'amazonaws.com.cn'],
  ['us-gov-', 'aws-us-gov', 'amazonaws.com'],
  ['us-iso-', 'aws-iso', 'c2s.ic.gov'],
  ['us-isob-', 'aws-iso-b', 'sc2s.sgov.gov'],
  ['eu-isoe-', 'aws-iso-e', 'cloud.adc-e.uk'],
  ['us-isof-', 'aws-iso-f', 'csp.hci.ic.gov'],
  ['eusc-', 'aws-eusc', 'amazonaws.eu'],
  ['', 'aws', 'amazonaws.com'],
] as const;

const rowOf = (region: string) => PARTITIONS.find(([prefix]) => region.startsWith(prefix));

/** The partition of a region: what its ARNs begin with. */
export const partitionOf = (region: string): string => rowOf(region)?.[1] ?? 'aws';

/** What the host names of AWS in a region end in. */
export const domainOf = (region: string): string => rowOf(region)?.[2] ?? 'amazonaws.com';

/** The name of the topic in its ARN. */
export const topicOfArn = (arn: string): string => arn.split(':')[5] ?? '';
