/**
 * The configurations of a bucket by the parameter of the query that selects them, as a new bucket has them (S3 User Guide,
 * "Default settings for new S3 buckets FAQ").
 */

const XML = '<?xml version="1.0" encoding="UTF-8"?>';
const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export const VERSIONED = `${XML}<VersioningConfiguration ${NS}><Status>Enabled</Status></VersioningConfiguration>`;

export interface Kind {
  /** In the names of the operations: `GetBucketPolicy`, `PutBucketPolicy`. */
  readonly name: string;
  /** Of a new bucket. */
  readonly first?: string;
  /** The answer when it was never set, or was deleted. */
  readonly missing?: readonly [code: string, message: string];
}

/** By the parameter of the query that selects them. */
export const KINDS: Readonly<Record<string, Kind>> = {
  versioning: { name: 'BucketVersioning', first: `${XML}<VersioningConfiguration ${NS}/>` },
  publicAccessBlock: {
    name: 'PublicAccessBlock',
    first: `${XML}<PublicAccessBlockConfiguration ${NS}>${['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'].map((name) => `<${name}>true</${name}>`).join('')}</PublicAccessBlockConfiguration>`,
    missing: ['NoSuchPublicAccessBlockConfiguration', 'The public access block configuration was not found'],
  },
  ownershipControls: {
    name: 'BucketOwnershipControls',
    first: `${XML}<OwnershipControls ${NS}><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`,
    missing: ['OwnershipControlsNotFoundError', 'The bucket ownership controls were not found'],
  },
  encryption: {
    name: 'BucketEncryption',
    first: `${XML}<ServerSideEncryptionConfiguration ${NS}><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
    missing: [
      'ServerSideEncryptionConfigurationNotFoundError',
      'The server side encryption configuration was not found',
    ],
  },
  policy: { name: 'BucketPolicy', missing: ['NoSuchBucketPolicy', 'The bucket policy does not exist'] },
  lifecycle: {
    name: 'BucketLifecycleConfiguration',
    missing: ['NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'],
  },
};

/** What an operation is about, by its name: `PutBucketPolicy`. */
export const OPERATIONS = new Map(
  Object.entries(KINDS).flatMap(([query, { name }]) =>
    ['Get', 'Put', 'Delete'].map((verb) => [`${verb}${name}`, { verb, query }] as const),
  ),
);

/** The operation on a configuration that a request to a bucket asks for; undefined when it is about something else. */
export function configOperation(method: string, query: URLSearchParams): string | undefined {
  const verb = { GET: 'Get', PUT: 'Put', DELETE: 'Delete' }[method];
  const kind = Object.keys(KINDS).find((one) => query.has(one));
  return verb && kind && `${verb}${KINDS[kind]?.name}`;
}
