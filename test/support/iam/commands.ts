/**
 * Which IAM actions each request of the two programs needs: AWS's Service Authorization Reference, "Operations", and where
 * a request needs more than the action of its name, the page that says so. A test compares this table with the source.
 */

/** Per client of the SDK, the commands by name. */
type Commands = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/**
 * Without ListBucket S3 answers 403 for a missing object (S3 API Reference, GetObject and HeadObject). The actions of KMS
 * are for a bucket that encrypts with a key of its own (S3 User Guide, "Using server-side encryption with AWS KMS keys").
 */
const READ = ['s3:GetObject', 's3:ListBucket', 'kms:Decrypt'];
/** The parts of a multipart upload are decrypted as well, before they are joined. */
const WRITE = ['s3:PutObject', 'kms:GenerateDataKey', 'kms:Decrypt'];

/** The page of each operation in the S3 API Reference names its permission, which often has another name. */
const LOOK_AT_BUCKET = {
  HeadBucket: ['s3:ListBucket'],
  GetPublicAccessBlock: ['s3:GetBucketPublicAccessBlock'],
  GetBucketOwnershipControls: ['s3:GetBucketOwnershipControls'],
  GetBucketVersioning: ['s3:GetBucketVersioning'],
  GetBucketEncryption: ['s3:GetEncryptionConfiguration'],
  GetBucketPolicy: ['s3:GetBucketPolicy'],
  GetBucketLifecycleConfiguration: ['s3:GetLifecycleConfiguration'],
};

const sts: Commands = {
  // STS API Reference, GetCallerIdentity: "No permissions are required".
  'client-sts': { GetCallerIdentity: [] },
};

/** The commands of both programs, by the name of the client's package. */
export const COMMANDS: Readonly<Record<'agent' | 'publisher' | 'setup' | 'gc', Commands>> = {
  agent: {
    ...sts,
    'client-sqs': {
      // Amazon SQS Developer Guide, "Actions, resources, and condition keys": tags in the request need TagQueue as well.
      CreateQueue: ['sqs:CreateQueue', 'sqs:TagQueue'],
      DeleteMessage: ['sqs:DeleteMessage'],
      DeleteQueue: ['sqs:DeleteQueue'],
      GetQueueAttributes: ['sqs:GetQueueAttributes'],
      GetQueueUrl: ['sqs:GetQueueUrl'],
      ListQueueTags: ['sqs:ListQueueTags'],
      ReceiveMessage: ['sqs:ReceiveMessage'],
      SendMessage: ['sqs:SendMessage'],
      // SQS API Reference, SendMessageBatch: the permission of a batch is that of the single call.
      SendMessageBatch: ['sqs:SendMessage'],
      SetQueueAttributes: ['sqs:SetQueueAttributes'],
      TagQueue: ['sqs:TagQueue'],
    },
    'client-sns': {
      GetSubscriptionAttributes: ['sns:GetSubscriptionAttributes'],
      GetTopicAttributes: ['sns:GetTopicAttributes'],
      ListSubscriptionsByTopic: ['sns:ListSubscriptionsByTopic'],
      SetSubscriptionAttributes: ['sns:SetSubscriptionAttributes'],
      Subscribe: ['sns:Subscribe'],
      Unsubscribe: ['sns:Unsubscribe'],
    },
    'client-s3': {
      GetObject: READ,
      PutObject: WRITE,
    },
    'client-auto-scaling': {
      CompleteLifecycleAction: ['autoscaling:CompleteLifecycleAction'],
      DescribeAutoScalingInstances: ['autoscaling:DescribeAutoScalingInstances'],
      RecordLifecycleActionHeartbeat: ['autoscaling:RecordLifecycleActionHeartbeat'],
    },
    'client-elastic-load-balancing-v2': {
      DeregisterTargets: ['elasticloadbalancing:DeregisterTargets'],
      DescribeTargetGroupAttributes: ['elasticloadbalancing:DescribeTargetGroupAttributes'],
      DescribeTargetHealth: ['elasticloadbalancing:DescribeTargetHealth'],
      RegisterTargets: ['elasticloadbalancing:RegisterTargets'],
    },
  },
  publisher: {
    ...sts,
    'client-sns': {
      Publish: ['sns:Publish'],
      // `doctor` looks at the topic and its subscriptions.
      GetSubscriptionAttributes: ['sns:GetSubscriptionAttributes'],
      GetTopicAttributes: ['sns:GetTopicAttributes'],
      ListSubscriptionsByTopic: ['sns:ListSubscriptionsByTopic'],
    },
    'client-sqs': {
      CreateQueue: ['sqs:CreateQueue', 'sqs:TagQueue'],
      DeleteMessageBatch: ['sqs:DeleteMessage'],
      DeleteQueue: ['sqs:DeleteQueue'],
      ReceiveMessage: ['sqs:ReceiveMessage'],
    },
    'client-s3': {
      ...LOOK_AT_BUCKET,
      GetObject: READ,
      HeadObject: READ,
      ListObjectsV2: ['s3:ListBucket'],
      PutObject: WRITE,
      UploadPart: WRITE,
    },
    'client-ec2': { DescribeInstances: ['ec2:DescribeInstances'] },
    'client-cloudwatch': { DescribeAlarms: ['cloudwatch:DescribeAlarms'] },
    'client-kms': { GetPublicKey: ['kms:GetPublicKey'], Sign: ['kms:Sign'] },
    // S3 User Guide, "Multipart upload API and permissions".
    'lib-storage': { Upload: [...WRITE, 's3:AbortMultipartUpload'] },
  },
  gc: {
    ...sts,
    'client-sqs': {
      DeleteQueue: ['sqs:DeleteQueue'],
      GetQueueAttributes: ['sqs:GetQueueAttributes'],
      GetQueueUrl: ['sqs:GetQueueUrl'],
      ListQueues: ['sqs:ListQueues'],
      ListQueueTags: ['sqs:ListQueueTags'],
    },
    'client-sns': {
      ListSubscriptionsByTopic: ['sns:ListSubscriptionsByTopic'],
      Unsubscribe: ['sns:Unsubscribe'],
    },
    'client-s3': {
      AbortMultipartUpload: ['s3:AbortMultipartUpload'],
      // S3 User Guide, "How to perform conditional deletes": with If-Match it needs GetObject as well.
      DeleteObject: ['s3:DeleteObject', 's3:GetObject'],
      ListMultipartUploads: ['s3:ListBucketMultipartUploads'],
    },
  },
  setup: {
    ...sts,
    'client-sns': {
      CreateTopic: ['sns:CreateTopic'],
      GetTopicAttributes: ['sns:GetTopicAttributes'],
      SetTopicAttributes: ['sns:SetTopicAttributes'],
    },
    'client-s3': {
      ...LOOK_AT_BUCKET,
      CreateBucket: ['s3:CreateBucket'],
      PutPublicAccessBlock: ['s3:PutBucketPublicAccessBlock'],
      PutBucketOwnershipControls: ['s3:PutBucketOwnershipControls'],
      PutBucketVersioning: ['s3:PutBucketVersioning'],
      PutBucketEncryption: ['s3:PutEncryptionConfiguration'],
      PutBucketPolicy: ['s3:PutBucketPolicy'],
      PutBucketLifecycleConfiguration: ['s3:PutLifecycleConfiguration'],
    },
  },
};
