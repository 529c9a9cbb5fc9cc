import { CloudError } from './errors.ts';
import type { Call, RequestRecord } from './requests.ts';

/**
 * `conflict`: 409 ConditionalRequestConflict, which S3 may give any conditional write, and nothing is written.
 * `unavailable`: 503, and nothing is done.
 * `denied`: 403, as the caller's policy does not allow the action.
 * `aborted`: 409, as another request changes the same configuration; nothing is done.
 * `answer-lost`: carried out, but the connection is cut before the answer: the SDK's retry meets its own work.
 */
export type Fault = 'conflict' | 'unavailable' | 'denied' | 'aborted' | 'answer-lost';

interface Pending {
  readonly fault: Fault;
  readonly which: (request: RequestRecord) => boolean;
  times: number;
}

/** Faults that wait for the requests they are meant for. */
export class Faults {
  #pending: Pending[] = [];

  add(fault: Fault, which: (request: RequestRecord) => boolean, times: number): void {
    this.#pending.push({ fault, which, times });
  }

  /** Throws when the call is to be refused; true when its answer is to be lost. */
  meet(call: Call): boolean {
    const pending = this.#pending.find(
      ({ fault, which }) => (fault !== 'conflict' || isConditional(call)) && which(call.record),
    );
    if (pending === undefined) return false;
    pending.times -= 1;
    if (pending.times <= 0) this.#pending = this.#pending.filter((other) => other !== pending);
    switch (pending.fault) {
      case 'conflict':
        throw new CloudError(
          409,
          'ConditionalRequestConflict',
          'The conditional request cannot succeed due to a conflicting operation against this resource.',
        );
      case 'unavailable':
        throw call.record.service === 's3'
          ? new CloudError(503, 'SlowDown', 'Please reduce your request rate.')
          : new CloudError(
              503,
              'ServiceUnavailable',
              'The request has failed due to a temporary failure of the server.',
            );
      case 'denied':
        throw call.record.service === 's3'
          ? new CloudError(403, 'AccessDenied', 'Access Denied')
          : new CloudError(403, 'AuthorizationError', `not authorized to perform: ${call.record.operation}`);
      case 'aborted':
        throw new CloudError(
          409,
          'OperationAborted',
          'A conflicting conditional operation is currently in progress against this resource. Please try again.',
        );
      case 'answer-lost':
        return true;
    }
  }
}

function isConditional({ record, headers }: Call): boolean {
  const writes = ['PutObject', 'CopyObject', 'CompleteMultipartUpload', 'DeleteObject'];
  return writes.includes(record.operation) && (headers['if-match'] ?? headers['if-none-match']) !== undefined;
}
