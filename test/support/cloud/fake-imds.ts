import type { IncomingMessage, ServerResponse } from 'node:http';
import { startStandIn } from './stand-in-server.ts';

/**
 * The instance metadata service, version 2, as EC2 answers it. It replaces what only EC2 has: a link-local address of
 * every instance. It follows the EC2 User Guide, "Use the Instance Metadata Service to access instance metadata" (a token
 * by PUT with a TTL of 1 to 21,600 s; 401 without a valid one; 403 for a PUT with X-Forwarded-For; an answer to a PUT
 * that does not get further than the hop limit), "Spot Instance interruption notices", "EC2 instance rebalance
 * recommendations" (404 while nothing is scheduled) and the Auto Scaling User Guide, "Retrieve the target lifecycle state
 * through instance metadata".
 */
export interface FakeImds {
  readonly endpoint: string;
  /** What makes an agent ask here. */
  readonly env: Record<string, string>;
  /** The texts by path, such as `spot/instance-action`; a path that is not in it is answered with 404. */
  readonly facts: Map<string, string>;
  /** Every request so far, as `PUT token 200` or `GET spot/instance-action 404`. */
  readonly requests: string[];
  /** How many connections were opened. */
  connections(): number;
  /** Forgets all tokens, as EC2 does when they expire. */
  expireTokens(): void;
  /** The hop limit of the instance, and how many hops away the client is: beyond it, no answer to a PUT arrives. */
  hopLimit: number;
  hops: number;
  /** How a GET is answered; `hangs`: not at all. */
  gets: 'normal' | 'hangs' | { status: number };
  /** Schedules an interruption of a spot instance, or takes the notice back. */
  interrupt(action: 'terminate' | 'stop' | 'hibernate' | undefined, at?: number): void;
  recommendRebalance(at: number): void;
  /** The target lifecycle state of the instance in its Auto Scaling group. */
  target(state: string | undefined): void;
  stop(): Promise<void>;
}

const LONGEST_TTL_S = 21_600;

/** `facts`: more or other texts. The instance is a spot instance unless they say otherwise. */
export async function startFakeImds(facts: Record<string, string> = {}): Promise<FakeImds> {
  /** When each token expires, ms. */
  const tokens = new Map<string, number>();
  let connections = 0;
  let issued = 0;

  function answer({ method, url = '', headers }: IncomingMessage, response: ServerResponse): number | 'none' {
    if (url === '/latest/api/token') {
      if (method !== 'PUT') return 405;
      if (headers['x-forwarded-for'] !== undefined) return 403;
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!Number.isInteger(ttl) || ttl < 1 || ttl > LONGEST_TTL_S) return 400;
      if (imds.hops > imds.hopLimit) return 'none';
      issued += 1;
      const token = `token-${issued}==`;
      tokens.set(token, performance.now() + ttl * 1000);
      response.setHeader('x-aws-ec2-metadata-token-ttl-seconds', String(ttl));
      response.write(token);
      return 200;
    }
    if (method !== 'GET') return 405;
    const until = tokens.get(String(headers['x-aws-ec2-metadata-token'] ?? ''));
    if (until === undefined || until <= performance.now()) return 401;
    if (imds.gets === 'hangs') return 'none';
    if (imds.gets !== 'normal') return imds.gets.status;
    const text = imds.facts.get(pathOf(url));
    if (text === undefined) return 404;
    response.write(text);
    return 200;
  }

  const countConnection = () => {
    connections += 1;
  };
  const server = await startStandIn((request, _text, response) => {
    // The status has to be set before the body is written: so it is decided on a response that collects.
    const body: string[] = [];
    const collected = Object.assign(Object.create(response) as ServerResponse, {
      write: (text: string) => body.push(text) > 0,
    });
    const status = answer(request, collected);
    imds.requests.push(`${request.method} ${pathOf(request.url ?? '')} ${status}`);
    if (status !== 'none') response.writeHead(status, { 'content-type': 'text/plain' }).end(body.join(''));
  }, countConnection);
  const { endpoint } = server;
  const set = (path: string, text: string | undefined) =>
    text === undefined ? imds.facts.delete(path) : imds.facts.set(path, text);
  const time = (at: number) => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

  const imds: FakeImds = {
    endpoint,
    env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint },
    facts: new Map(
      Object.entries({
        'instance-id': 'i-0abc1234567890def',
        'placement/availability-zone': 'eu-west-1a',
        'placement/region': 'eu-west-1',
        'instance-life-cycle': 'spot',
        ...facts,
      }),
    ),
    requests: [],
    connections: () => connections,
    expireTokens: () => tokens.clear(),
    hopLimit: 1,
    hops: 1,
    gets: 'normal',
    interrupt: (action, at = Date.now() + 120_000) =>
      void set('spot/instance-action', action && JSON.stringify({ action, time: time(at) })),
    recommendRebalance: (at) =>
      void set('events/recommendations/rebalance', JSON.stringify({ noticeTime: time(at) })),
    target: (state) => void set('autoscaling/target-lifecycle-state', state),
    stop: server.stop,
  };
  return imds;
}

const pathOf = (url: string) => url.replace(/^\/latest\/(meta-data|api)\//, '');
