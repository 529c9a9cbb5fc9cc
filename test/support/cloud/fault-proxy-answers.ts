import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudError, errorAnswer } from './errors.ts';
import type { Service } from './requests.ts';

/** What the network, or a service in trouble, makes of a request and its answer. */
export type NetworkFault =
  /** None: to count requests, and to await them. */
  | { kind: 'pass' }
  /** The connection is reset once this many bytes of the body were sent, and a moment later. */
  | { kind: 'reset'; after: number }
  /** The body ends after this many bytes, against its Content-Length or, chunked, as if that were all. */
  | { kind: 'truncate'; after: number; framing: 'length' | 'chunked' }
  /** The body comes in pieces of so many bytes. */
  | { kind: 'drip'; bytes: number; everyMs: number }
  /** The body is followed by others, without end. */
  | { kind: 'endless' }
  /** As many bytes, one of them another. */
  | { kind: 'spoil' }
  /** Not carried out; answered so. */
  | { kind: 'answer'; status: number; headers: Record<string, string>; body: string }
  /** Not carried out: the connection is reset. */
  | { kind: 'cut' }
  /** Carried out, and the connection is reset before the answer. */
  | { kind: 'lose-answer' }
  /** Taken, and neither carried out nor answered while the rule holds: a black hole. */
  | { kind: 'hold' };

/** What S3 (`SlowDown`), SQS and SNS say when they are asked too often, with the time they ask for. */
export function slowDown(service: Service, retryAfterSeconds: number): NetworkFault {
  const code = service === 's3' ? 'SlowDown' : 'ServiceUnavailable';
  const answer = refusal(service, 503, code, 'Please reduce your request rate.');
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterSeconds) } };
}

export function expiredToken(service: Service): NetworkFault {
  return refusal(service, 403, 'ExpiredToken', 'The security token included in the request is expired');
}

function refusal(service: Service, status: number, code: string, message: string) {
  return { kind: 'answer', status, ...errorAnswer(service, new CloudError(status, code, message)) } as const;
}

/** The time in which a client takes what was sent before the connection breaks. */
const MOMENT_MS = 250;

/** Hands the cloud's answer on, with what the fault makes of its body. */
export async function deliver(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  fault: NetworkFault | undefined,
): Promise<void> {
  const body = Buffer.concat(await answer.toArray());
  const { socket } = outgoing;
  const head = (headers: OutgoingHttpHeaders) => outgoing.writeHead(answer.statusCode ?? 502, headers);
  const whole = answer.headers;
  switch (fault?.kind) {
    case 'lose-answer':
      socket?.resetAndDestroy();
      return;
    case 'reset':
      await sent(head(whole), body.subarray(0, fault.after));
      await sleep(MOMENT_MS);
      socket?.resetAndDestroy();
      return;
    case 'truncate':
      if (fault.framing === 'chunked') {
        head(withoutLength(whole)).end(body.subarray(0, fault.after));
        return;
      }
      await sent(head(whole), body.subarray(0, fault.after));
      await sleep(MOMENT_MS);
      socket?.end();
      return;
    case 'drip':
      head(whole);
      for (let at = 0; at < body.length && !outgoing.destroyed; at += fault.bytes) {
        await sent(outgoing, body.subarray(at, at + fault.bytes));
        await sleep(fault.everyMs);
      }
      outgoing.end();
      return;
    case 'endless': {
      head(withoutLength(whole));
      const filler = Buffer.alloc(16 * 1024, 'and so on, ');
      for (let next = body; !outgoing.destroyed; next = filler) await sent(outgoing, next);
      return;
    }
    case 'spoil':
      head(whole).end(spoilt(body));
      return;
    default:
      // A HEAD gives the length of what it does not send.
      head(whole).end(body);
  }
}

function withoutLength({ 'content-length': _, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}

/** Resolves once the bytes are handed to the system, or the client is gone. */
async function sent(outgoing: ServerResponse, bytes: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  outgoing.once('close', resolve);
  if (bytes.length > 0) outgoing.write(bytes, () => resolve());
  else {
    outgoing.flushHeaders();
    resolve();
  }
  await promise;
  outgoing.off('close', resolve);
}

function spoilt(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const middle = copy.length >> 1;
  if (copy.length > 0) copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
