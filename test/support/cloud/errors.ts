import { randomUUID } from 'node:crypto';
import type { Service } from './requests.ts';

/** A refusal as AWS words it: the code a client branches on, and the status it comes with. */
export class CloudError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'CloudError';
    this.status = status;
    this.code = code;
  }
}

export interface ErrorAnswer {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** The three services speak three protocols; a client only recognises an error in its own. */
export function errorAnswer(service: Service, error: CloudError): ErrorAnswer {
  if (service === 'sqs') {
    const code = sqsQueryCode(error.code);
    const type =
      code === error.code ? `com.amazon.coral.service#${code}Exception` : `com.amazonaws.sqs#${error.code}`;
    return {
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-query-error': `${code};Sender` },
      body: JSON.stringify({ __type: type, message: error.message }),
    };
  }
  const code = `<Code>${error.code}</Code><Message>${escapeXml(error.message)}</Message>`;
  const requestId = `<RequestId>${randomUUID()}</RequestId>`;
  const body =
    service === 's3'
      ? `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${code}${requestId}</Error>`
      : `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>${code}</Error>${requestId}</ErrorResponse>`;
  return { headers: { 'content-type': service === 's3' ? 'application/xml' : 'text/xml' }, body };
}

/** The shapes whose code in `x-amzn-query-error` carries the old prefix (`awsQueryError` in the SQS model). */
const PREFIXED = new Set([
  'BatchEntryIdsNotDistinct',
  'BatchRequestTooLong',
  'EmptyBatchRequest',
  'InvalidBatchEntryId',
  'MessageNotInflight',
  'NonExistentQueue',
  'PurgeQueueInProgress',
  'QueueDeletedRecently',
  'TooManyEntriesInBatchRequest',
  'UnsupportedOperation',
]);

/**
 * SQS answers JSON but names its errors twice; the SDKs trust the header. fauxqs prefixes every code, and so
 * hides `QueueNameExists` and the common errors (`InvalidParameterValue`) from clients that branch on them.
 */
export function sqsQueryCode(code: string): string {
  const bare = code.replace(/^AWS\.SimpleQueueService\./, '');
  if (bare === 'QueueNameExists') return 'QueueAlreadyExists';
  if (bare === 'QueueDoesNotExist') return 'AWS.SimpleQueueService.NonExistentQueue';
  return PREFIXED.has(bare) ? `AWS.SimpleQueueService.${bare}` : bare;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
