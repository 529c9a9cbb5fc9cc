import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { deliver, type NetworkFault } from './fault-proxy-answers.ts';
import { type RequestRecord, readBody, readHead } from './requests.ts';

/**
 * A proxy in front of the embedded cloud, and the network's faults in it. A request that fits a rule meets its
 * fault; the others pass as they are. The program under test gets `endpoint` as its AWS_ENDPOINT_URL.
 */
export interface FaultProxy {
  readonly endpoint: string;
  /** Every request that arrived here, in the order of arrival, whatever became of it. */
  readonly requests: readonly RequestRecord[];
  /** The next `times` requests that fit meet `fault`; the newest rule that fits decides. */
  meet(fault: NetworkFault, which?: Which, times?: number): Rule;
  /** Ends every rule; what was held goes on. */
  clear(): void;
  /** Nothing listens any more, and every connection is reset: the endpoint refuses. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
  /** Resets every open connection: long polls end at once. */
  hangUp(): void;
  stop(): Promise<void>;
}

export type Which = (request: RequestRecord) => boolean;

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
    // The body was read whole: its length is known, and no 100-continue is needed.
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
