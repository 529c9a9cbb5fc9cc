import { CloudError } from './errors.ts';
import type { Call, Service } from './requests.ts';

/** "Troubleshooting Signature Version 4": a request signed more than 15 minutes off AWS's clock is refused. */
const MAX_SKEW_MS = 15 * 60_000;

/** Who may ask at all. Signatures are not verified: any secret will do. */
export class Credentials {
  readonly #expired = new Set<string>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  expire(accessKeyId: string): void {
    this.#expired.add(accessKeyId);
  }

  renew(accessKeyId: string): void {
    this.#expired.delete(accessKeyId);
  }

  /** Throws what the service asked would answer ("Common error types" of SQS and SNS, "Error responses" of S3). */
  check({ record, headers }: Call): void {
    const isS3 = record.service === 's3';
    if (record.accessKeyId === undefined) {
      throw isS3
        ? new CloudError(403, 'AccessDenied', 'Access Denied')
        : new CloudError(403, 'MissingAuthenticationToken', 'Request is missing Authentication Token');
    }
    if (this.#expired.has(record.accessKeyId)) {
      throw isS3
        ? new CloudError(400, 'ExpiredToken', 'The provided token has expired.')
        : new CloudError(403, 'ExpiredToken', 'The security token included in the request is expired');
    }
    const signedAt = amzDate(headers['x-amz-date']);
    if (signedAt !== undefined && Math.abs(signedAt - this.#now()) > MAX_SKEW_MS)
      throw skewed(record.service);
  }
}

function skewed(service: Service): CloudError {
  switch (service) {
    case 's3':
      return new CloudError(
        403,
        'RequestTimeTooSkewed',
        'The difference between the request time and the current time is too large.',
      );
    case 'sqs':
      return new CloudError(403, 'InvalidSignatureException', 'Signature expired or not yet current');
    case 'sns':
    case 'sts':
      return new CloudError(403, 'SignatureDoesNotMatch', 'Signature expired or not yet current');
  }
}

/** `20250131T081402Z`, as SigV4 writes it. */
function amzDate(header: string | string[] | undefined): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(header));
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
