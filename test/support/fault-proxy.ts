import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudError, errorAnswer } from './cloud-errors.ts';
import { type RequestRecord, readBody, readHead, type Service } from './cloud-requests.ts';

/**
 * A proxy in front of the embedded cloud, and the network's faults in it. A request that fits a rule meets its
 * fault; the others pass as they are. Whoever is to notice gets `endpoint` as its AWS_ENDPOINT_URL.
 */
export interface FaultProxy {
  readonly endpoint: string;
  /** Every request that arrived here, in the order of arrival, whatever became of it. */
  readonly requests: readonly RequestRecord[];
  /** The next `times` requests that fit meet `fault`; the newest rule that fits decides. */
  meet(fault: NetworkFault, which?: Which, times?: number): Rule;
  /** Ends every rule; what was held goes on. */
  clear(): void;
  /** Nobody listens any more, and every connection is reset: the endpoint refuses. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
  /** Resets every open connection: long polls end at once. */
  hangUp(): void;
  stop(): Promise<void>;
}

export type Which = (request: RequestRecord) => boolean;

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

export interface Rule {
  /** How many requests have met it. */
  readonly met: number;
  /** Resolves once `count` requests have met it. */
  reached(count: number): Promise<void>;
  lift(): void;
}

interface OpenRule extends Rule {
  readonly fault: NetworkFault;
  readonly lifted: Promise<void>;
  /** Whether this request meets it; counts it. */
  take(record: RequestRecord): boolean;
}

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

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const { hostname, port: upstreamPort } = new URL(upstream);
  const agent = new Agent({ keepAlive: true });
  const sockets = new Set<Socket>();
  const requests: RequestRecord[] = [];
  let rules: OpenRule[] = [];

  const server = createServer((incoming, outgoing) => {
    // A client that goes away, or is sent away, is no error here.
    incoming.on('error', () => {});
    outgoing.on('error', () => {});
    pass(incoming, outgoing).catch(() => outgoing.socket?.resetAndDestroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = Buffer.concat(await incoming.toArray());
    const record = recordOf(incoming, body);
    requests.push(record);
    const rule = rules.findLast((one) => one.take(record));
    const fault = rule?.fault;
    if (fault?.kind === 'answer') {
      outgoing.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    if (fault?.kind === 'cut') {
      outgoing.socket?.resetAndDestroy();
      return;
    }
    if (fault?.kind === 'hold') {
      await Promise.race([rule?.lifted, once(outgoing, 'close')]);
      if (outgoing.destroyed) return;
    }
    const answer = await forward(incoming, outgoing, body);
    await deliver(answer, outgoing, fault);
  }

  async function forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    body: Buffer,
  ): Promise<IncomingMessage> {
    const { method, url: path } = incoming;
    // The body was read whole: its length is known, and nobody has to be asked to go on.
    const { expect: _, 'transfer-encoding': __, connection: ___, ...headers } = incoming.headers;
    const ask = request({
      agent,
      hostname,
      port: upstreamPort,
      method,
      path,
      headers: { ...headers, 'content-length': body.length },
    });
    outgoing.once('close', () => outgoing.writableFinished || ask.destroy());
    const answered = once(ask, 'response') as Promise<[IncomingMessage]>;
    ask.end(body);
    const [answer] = await answered;
    answer.on('error', () => {});
    return answer;
  }

  async function listen(port: number): Promise<void> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }

  const clear = () => {
    for (const rule of rules) rule.lift();
  };
  const hangUp = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  async function refuse(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    hangUp();
    await closed;
  }

  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    meet(fault, which = () => true, times = Number.POSITIVE_INFINITY) {
      const rule = openRule(fault, which, times, () => {
        rules = rules.filter((one) => one !== rule);
      });
      rules.push(rule);
      return rule;
    },
    clear,
    hangUp,
    refuse,
    accept: () => listen(port),
    async stop() {
      clear();
      if (server.listening) await refuse();
      agent.destroy();
    },
  };
}

function openRule(fault: NetworkFault, which: Which, times: number, drop: () => void): OpenRule {
  const lifted = Promise.withResolvers<void>();
  const waiting = new Set<{ count: number; resolve: () => void }>();
  let met = 0;
  return {
    fault,
    lifted: lifted.promise,
    get met() {
      return met;
    },
    reached(count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (met >= count) resolve();
      else waiting.add({ count, resolve });
      return promise;
    },
    lift() {
      drop();
      lifted.resolve();
    },
    take(record) {
      if (met >= times || !which(record)) return false;
      met += 1;
      for (const one of waiting) if (met >= one.count) one.resolve();
      return true;
    },
  };
}

function recordOf({ method = '', url = '', headers }: IncomingMessage, body: Buffer): RequestRecord {
  const record = { at: Date.now(), ...readHead(method, url, headers) };
  const text = body.toString('utf8');
  if (record.service === 'sqs') readBody(record, JSON.parse(text));
  if (record.service === 'sns') readBody(record, Object.fromEntries(new URLSearchParams(text)));
  return record;
}

/** Hands the cloud's answer on, with what the fault makes of its body. */
async function deliver(
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
      // A HEAD tells the length of what it does not send.
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
