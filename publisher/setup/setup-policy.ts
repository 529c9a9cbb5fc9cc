import { arns } from '../../shared/names.ts';
import { allow, type PolicyPlace, type Statement } from './statements.ts';

/** What those may do who run `init`: they create the topic and the bucket, and keep their settings right. Pure. */
export function setupStatements(place: PolicyPlace): Statement[] {
  const { env, features = {} } = place;
  const topics = [arns.topic(place, env), ...(features.events === undefined ? [] : [features.events])];
  return [
    allow('KeepTopics', ['sns:GetTopicAttributes', 'sns:CreateTopic', 'sns:SetTopicAttributes'], topics),
    allow(
      'KeepBucket',
      [
        's3:ListBucket',
        's3:CreateBucket',
        's3:GetBucketPublicAccessBlock',
        's3:PutBucketPublicAccessBlock',
        's3:GetBucketOwnershipControls',
        's3:PutBucketOwnershipControls',
        's3:GetBucketVersioning',
        's3:PutBucketVersioning',
        's3:GetEncryptionConfiguration',
        's3:PutEncryptionConfiguration',
        's3:GetBucketPolicy',
        's3:PutBucketPolicy',
        's3:GetLifecycleConfiguration',
        's3:PutLifecycleConfiguration',
      ],
      [arns.bucket(place, place.bucket)],
    ),
  ];
}
