import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  type ServerSideEncryptionRule,
} from '@aws-sdk/client-s3';
import { awsErrorName, awsStatus } from '../../shared/aws-errors.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { harmfulRules, withRules } from './lifecycle.ts';
import { type ForeignPolicy, withStatements } from './policy-document.ts';
import type { Look, Setting } from './setting.ts';
import { type Encryption, OBJECT_OWNERSHIP, PUBLIC_ACCESS_BLOCK, type Wanted } from './wanted.ts';

/**
 * The bucket and its settings. Each call names the account that must own the bucket (S3 User Guide, "Verifying bucket
 * ownership with bucket owner condition"), so a bucket of somebody else is never read or changed.
 */
export function bucketSettings({ s3 }: { s3: S3Client }, wanted: Wanted): Setting[] {
  const { bucket, region, account } = wanted;
  const own = { Bucket: bucket.name, ExpectedBucketOwner: account };
  let isNew = false;
  const thing = `bucket ${bucket.name}`;

  const existence: Setting = {
    thing,
    reads: 's3:ListBucket',
    writes: 's3:CreateBucket',
    async look(): Promise<Look> {
      if (await exists(s3, own)) return { text: 'exists, and belongs to this account' };
      return { text: 'does not exist', wanted: NEW_BUCKET, missing: true, mend: create };
    },
    passes: () => false,
  };
  async function create(): Promise<void> {
    isNew = true;
    // us-east-1 is the one region that is not a location constraint (S3 API Reference, "CreateBucket").
    const location = { LocationConstraint: region as BucketLocationConstraint };
    const place = region === 'us-east-1' ? {} : { CreateBucketConfiguration: location };
    try {
      await s3.send(new CreateBucketCommand({ Bucket: bucket.name, ...place }));
    } catch (error) {
      // Another run, or a try whose answer was lost.
      if (awsErrorName(error) === 'BucketAlreadyOwnedByYou') return;
      throw awsErrorName(error) === 'BucketAlreadyExists' ? taken(bucket.name, error) : error;
    }
  }
  const setting = (
    what: string,
    [reads, writes]: readonly [string, string],
    look: () => Promise<Look>,
  ): Setting => ({
    ...{ thing, what, reads: `s3:${reads}`, writes: `s3:${writes}`, look },
    passes: (error) => isNew && awsErrorName(error) === 'NoSuchBucket',
  });

  return [
    existence,
    setting('public access block', ['GetBucketPublicAccessBlock', 'PutBucketPublicAccessBlock'], async () => {
      const answer = await unlessNamed('NoSuchPublicAccessBlockConfiguration', () =>
        s3.send(new GetPublicAccessBlockCommand(own)),
      );
      const found = answer?.PublicAccessBlockConfiguration ?? {};
      const open = Object.keys(PUBLIC_ACCESS_BLOCK).filter(
        (key) => !found[key as keyof typeof PUBLIC_ACCESS_BLOCK],
      );
      return {
        text: open.length === 0 ? 'all four on' : `off: ${open.join(', ')}`,
        wanted: 'all four on',
        mend: unless(open.length === 0, async () => {
          const all = { PublicAccessBlockConfiguration: PUBLIC_ACCESS_BLOCK };
          await s3.send(new PutPublicAccessBlockCommand({ ...own, ...all }));
        }),
      };
    }),
    setting('object ownership', ['GetBucketOwnershipControls', 'PutBucketOwnershipControls'], async () => {
      const answer = await unlessNamed('OwnershipControlsNotFoundError', () =>
        s3.send(new GetBucketOwnershipControlsCommand(own)),
      );
      const found = answer?.OwnershipControls?.Rules?.[0]?.ObjectOwnership ?? 'not set';
      return {
        text: found,
        wanted: OBJECT_OWNERSHIP,
        mend: unless(found === OBJECT_OWNERSHIP, async () => {
          const OwnershipControls = { Rules: [{ ObjectOwnership: OBJECT_OWNERSHIP } as const] };
          await s3.send(new PutBucketOwnershipControlsCommand({ ...own, OwnershipControls }));
        }),
      };
    }),
    setting('versioning', ['GetBucketVersioning', 'PutBucketVersioning'], async () => {
      const { Status = 'off' } = await s3.send(new GetBucketVersioningCommand(own));
      return {
        text: Status,
        wanted: 'Enabled',
        mend: unless(Status === 'Enabled', async () => {
          const VersioningConfiguration = { Status: 'Enabled' } as const;
          await s3.send(new PutBucketVersioningCommand({ ...own, VersioningConfiguration }));
        }),
      };
    }),
    setting('encryption', ['GetEncryptionConfiguration', 'PutEncryptionConfiguration'], async () => {
      const answer = await unlessNamed('ServerSideEncryptionConfigurationNotFoundError', () =>
        s3.send(new GetBucketEncryptionCommand(own)),
      );
      const found = answer?.ServerSideEncryptionConfiguration?.Rules?.[0];
      return {
        text: encryptionText(found),
        wanted: textOfEncryption(bucket.encryption),
        mend: unless(isEncryptedAs(found, bucket.encryption), async () => {
          const Rules = [encryptionRule(bucket.encryption, found)];
          await s3.send(
            new PutBucketEncryptionCommand({ ...own, ServerSideEncryptionConfiguration: { Rules } }),
          );
        }),
      };
    }),
    setting('policy', ['GetBucketPolicy', 'PutBucketPolicy'], async () => {
      const answer = await unlessNamed('NoSuchBucketPolicy', () => s3.send(new GetBucketPolicyCommand(own)));
      const found = answer?.Policy === undefined ? undefined : (JSON.parse(answer.Policy) as ForeignPolicy);
      const merged = withStatements(found, bucket.policy.Statement);
      return {
        text: merged === undefined ? 'TLS only' : 'lets requests in without TLS',
        wanted: 'TLS only, with the statements of others kept',
        mend: unless(merged === undefined, async () => {
          await s3.send(new PutBucketPolicyCommand({ ...own, Policy: JSON.stringify(merged) }));
        }),
      };
    }),
    setting('lifecycle', ['GetLifecycleConfiguration', 'PutLifecycleConfiguration'], async () => {
      const answer = await unlessNamed('NoSuchLifecycleConfiguration', () =>
        s3.send(new GetBucketLifecycleConfigurationCommand(own)),
      );
      const { Rules = [], TransitionDefaultMinimumObjectSize } = answer ?? {};
      const merged = withRules(Rules, bucket.lifecycle);
      return {
        text: merged === undefined ? 'has its rules' : 'its rules are missing or differ',
        wanted: 'set: noncurrent versions and incomplete uploads only, with the rules of others kept',
        wrong: harmfulRules(Rules, bucket.lifecycle),
        mend: unless(merged === undefined, async () => {
          const LifecycleConfiguration = { Rules: merged };
          await s3.send(
            new PutBucketLifecycleConfigurationCommand({
              ...{ ...own, LifecycleConfiguration, TransitionDefaultMinimumObjectSize },
            }),
          );
        }),
      };
    }),
  ];
}

const NEW_BUCKET = 'created: private, versioned, encrypted, TLS only, with lifecycle rules';

const unless = (isRight: boolean, mend: () => Promise<void>) => (isRight ? undefined : mend);

/** Undefined where AWS answers with this error, as it does for a configuration that was never set. */
async function unlessNamed<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (awsErrorName(error) === name) return undefined;
    throw error;
  }
}

/**
 * Whether the bucket exists. S3 answers 403 for a bucket of another account and where `s3:ListBucket` is missing.
 * @throws errors of AWS.
 */
async function exists(s3: S3Client, own: { Bucket: string; ExpectedBucketOwner: string }): Promise<boolean> {
  try {
    await s3.send(new HeadBucketCommand(own));
    return true;
  } catch (error) {
    if (awsStatus(error) === 404) return false;
    throw error;
  }
}

const taken = (bucket: string, cause: unknown) =>
  new TriggerDeployError('AWS_REFUSED', `the name ${bucket} is taken by a bucket of another AWS account`, {
    cause,
    hint: 'choose another name: the names of buckets are unique in all accounts of a partition',
  });

function encryptionRule(
  wanted: Encryption,
  found: ServerSideEncryptionRule | undefined,
): ServerSideEncryptionRule {
  return wanted.algorithm === 'AES256'
    ? { ...found, ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }
    : {
        ...found,
        ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: wanted.key },
        BucketKeyEnabled: true,
      };
}

/** Any KMS key is right where S3's own keys would do: the owner of the bucket chose more. */
function isEncryptedAs(found: ServerSideEncryptionRule | undefined, wanted: Encryption): boolean {
  const { SSEAlgorithm, KMSMasterKeyID } = found?.ApplyServerSideEncryptionByDefault ?? {};
  if (SSEAlgorithm === undefined) return false;
  return (
    wanted.algorithm === 'AES256' || (SSEAlgorithm.startsWith('aws:kms') && KMSMasterKeyID === wanted.key)
  );
}

function encryptionText(found: ServerSideEncryptionRule | undefined): string {
  const { SSEAlgorithm, KMSMasterKeyID } = found?.ApplyServerSideEncryptionByDefault ?? {};
  if (SSEAlgorithm === undefined) return 'not set';
  return SSEAlgorithm === 'AES256' ? 'SSE-S3' : `${SSEAlgorithm} with ${KMSMasterKeyID ?? 'the key of AWS'}`;
}

const textOfEncryption = (wanted: Encryption) =>
  wanted.algorithm === 'AES256' ? 'SSE-S3' : `aws:kms with ${wanted.key}`;
