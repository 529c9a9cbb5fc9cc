import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ConfigView, LiveMessage } from '../../../publisher/console/api.ts';
import { buildPage } from '../../../systemd/page-bundle.ts';
import { config as cannedConfig, NOW, overview } from './canned-overview.ts';
import { deploymentView, history, serviceMessage } from './canned-service.ts';

/**
 * A stand-in for the console's server: it serves the real page with the real security headers, and says what it is told
 * to say. It knows no AWS and carries nothing out.
 */

/** The headers of the page, as the console sends them. */
const PAGE_HEADERS = {
  'content-security-policy': [
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "require-trusted-types-for 'script'; trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

export interface FakeConsoleOptions {
  port?: number;
  config?: ConfigView;
  /** Answers a request before the canned answers do; undefined leaves it to them. */
  answer?: (method: string, url: URL, body: unknown) => { status?: number; json: object } | undefined;
  /** What a new stream begins with; undefined leaves it to the canned snapshots. */
  snapshot?: (about: URLSearchParams) => readonly LiveMessage[] | undefined;
}

export interface FakeConsole extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without the key. */
  url: string;
  /** The address that a person opens. */
  address: string;
  /** Says it on all streams that are open. */
  say(message: LiveMessage): void;
  /** Ends all streams; with `refuse`, new ones get 503 until it is called with false. */
  drop(refuse: boolean): void;
  /** The bodies of POST /api/run, in their order. */
  ran: readonly { argv: readonly string[]; run: string }[];
  streams(): number;
}

const KEY = 'k'.repeat(43);

/** Starts on loopback. */
export async function startFakeConsole(options: FakeConsoleOptions = {}): Promise<FakeConsole> {
  const files = new Map((await buildPage()).map((file) => [file.path, file]));
  const streams = new Set<ServerResponse>();
  const ran: { argv: readonly string[]; run: string }[] = [];
  let isRefusing = false;

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    if (!url.pathname.startsWith('/api/')) {
      const file = files.get(url.pathname) ?? files.get('/');
      response.writeHead(200, {
        ...PAGE_HEADERS,
        ...(file && { 'content-type': file.type, 'content-encoding': 'br' }),
      });
      response.end(Buffer.from(file?.brotli ?? '', 'base64'));
      return;
    }
    const body = await bodyOf(request);
    const json = (status: number, answer: object) => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(answer));
    };
    const atOnce = url.pathname === '/api/session' ? options.answer?.('POST', url, body) : undefined;
    if (atOnce !== undefined) return json(atOnce.status ?? 200, atOnce.json);
    if (url.pathname === '/api/session') {
      const isRight = (body as { key?: string }).key === KEY;
      return isRight ? json(200, { session: 's'.repeat(43) }) : json(401, NO_SESSION);
    }
    if (request.headers.authorization === undefined) return json(401, NO_SESSION);
    if (request.method === 'POST' && url.pathname === '/api/run') ran.push(body as (typeof ran)[number]);
    const own = options.answer?.(request.method ?? 'GET', url, body);
    if (own !== undefined) return json(own.status ?? 200, own.json);
    if (url.pathname === '/api/live') {
      if (isRefusing) return json(503, { error: { code: 'UNAVAILABLE', message: 'not now' } });
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      streams.add(response);
      response.on('close', () => streams.delete(response));
      for (const message of options.snapshot?.(url.searchParams) ?? canned(url.searchParams)) {
        response.write(`data: ${JSON.stringify(message)}\n\n`);
      }
      return;
    }
    const answer = cannedAnswer(url, options.config ?? cannedConfig);
    return answer === undefined
      ? json(404, { error: { code: 'NOT_FOUND', message: 'there is no such address' } })
      : json(200, answer);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    address: `${url}/#k=${KEY}`,
    ran,
    say(message) {
      for (const stream of streams) stream.write(`data: ${JSON.stringify(message)}\n\n`);
    },
    drop(refuse) {
      isRefusing = refuse;
      for (const stream of streams) stream.destroy();
    },
    streams: () => streams.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const NO_SESSION = { error: { code: 'NO_SESSION', message: 'this page has no session with the console' } };

function canned(about: URLSearchParams): readonly LiveMessage[] {
  switch (about.get('about')) {
    case 'overview':
      return [
        { type: 'runs', runs: [] },
        { type: 'overview', view: overview },
      ];
    case 'service':
      return [{ type: 'runs', runs: [] }, serviceMessage];
    case 'deployment':
      return [
        { type: 'runs', runs: [] },
        { type: 'deployment', view: deploymentView() },
      ];
    default:
      return [];
  }
}

function cannedAnswer({ pathname, searchParams }: URL, config: ConfigView): object | undefined {
  switch (pathname) {
    case '/api/config':
      return config;
    case '/api/history':
      return history;
    case '/api/find':
      return { env: 'prd', service: 'payments' };
    case '/api/end':
      return {};
    case '/api/standing':
      return {
        at: Number(searchParams.get('at')),
        places: overview.cells.map(({ env, service, desired }) => ({
          ...{ env, service, version: desired?.version ?? null, deployment: desired?.deployment },
        })),
      };
    case '/api/roll-call':
      return { env: 'prd', at: NOW, by: 'ann', asked: 500, answered: 497, tookMs: 900 };
    default:
      return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? undefined : JSON.parse(text);
}
