/** What the agent's queue must be like. Pure. */

/**
 * The attributes of the queue. SQS Developer Guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic":
 * without this policy SNS delivers nothing, and reports no error.
 */
export function queueAttributes(queueArn: string, topic: string): Record<string, string> {
  return {
    // LONGEST_EXPIRY_MS in seconds: an older announcement has expired.
    MessageRetentionPeriod: '3600',
    ReceiveMessageWaitTimeSeconds: '20',
    VisibilityTimeout: '30',
    SqsManagedSseEnabled: 'true',
    Policy: JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'OnlyTheTopic',
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: queueArn,
          Condition: { ArnEquals: { 'aws:SourceArn': topic } },
        },
      ],
    }),
  };
}
