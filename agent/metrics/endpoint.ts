import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Snapshot } from './metrics.ts';
import { exposition, TEXT_FORMAT } from './prometheus.ts';

/**
 * Serves `GET /metrics` on a loopback address. Any user of the machine can connect, so nobody who connects can keep anything: few
 * connections, each answered once, and closed after a short time whatever its client does.
 */

/** Further connections are closed at once. */
const MOST_CONNECTIONS = 8;
/** A scrape takes a few ms. */
const LASTS = 5000;
/** The longest head of a request, bytes. */
const LONGEST_HEAD = 4096;
/**
 * The hosts for which it answers: addresses, which a client gives for no other reason than that it means them, and localhost. A name
 * that was made to lead here (DNS rebinding) would let a page in a browser of this machine read the metrics.
 */
const OWN_HOST = /^(?:(?:\d{1,3}\.){3}\d{1,3}|\[[\da-f:.]+\]|localhost)(?::\d{1,5})?$/i;
/** The same text is given out for this time, ms: asking again and again costs little. */
const SAME_FOR = 1000;
/** The pause after which an address that is taken is tried again, ms. */
const AGAIN_AFTER = 60_000;

interface EndpointParts {
  address: { host: string; port: number };
  read: () => Snapshot;
  clock: Clock;
  log: Log;
  /** For how long a connection may last, ms. */
  lastsMs?: number;
}

/** Serves until `stopping` aborts. An address that is taken is a warning, and tried again. Never throws. */
export async function serveMetrics(parts: EndpointParts, stopping: AbortSignal): Promise<void> {
  const { address, clock, log } = parts;
  const where = `${address.host}:${address.port}`;
  let isWarned = false;
  while (!stopping.aborted) {
    try {
      await listenUntil(createMetricsServer(parts), parts, stopping);
    } catch (error) {
      if (stopping.aborted) return;
      log[isWarned ? 'debug' : 'warn'](
        { err: error, retryMs: AGAIN_AFTER },
        `the metrics are not served at ${where}: ${messageOf(error)}`,
      );
      isWarned = true;
      await clock.sleep(AGAIN_AFTER, stopping).catch(() => undefined);
    }
  }
}

/** Resolves when `stopping` aborts. @throws when the server cannot listen. */
async function listenUntil(
  server: Server,
  { address, log }: EndpointParts,
  stopping: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.on('error', reject);
  server.listen({ ...address, signal: stopping, exclusive: true }, () =>
    log.info(address, 'metrics are served at /metrics'),
  );
  server.on('close', resolve);
  // The signal closes the server; connections that are open would keep it from ending.
  const closeAll = () => server.closeAllConnections();
  stopping.addEventListener('abort', closeAll, { once: true });
  try {
    await promise;
  } finally {
    stopping.removeEventListener('abort', closeAll);
    server.close();
  }
}

function createMetricsServer({ read, clock, lastsMs = LASTS }: EndpointParts): Server {
  let text = '';
  let madeAt = Number.NEGATIVE_INFINITY;
  const current = () => {
    const now = clock.monotonic();
    if (now - madeAt > SAME_FOR) [text, madeAt] = [exposition(read()), now];
    return text;
  };
  const server = createServer(
    {
      maxHeaderSize: LONGEST_HEAD,
      headersTimeout: lastsMs,
      requestTimeout: lastsMs,
      connectionsCheckingInterval: lastsMs / 5,
      keepAlive: false,
    },
    (request, response) => answer(request, response, current),
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.maxRequestsPerSocket = 1;
  server.on('connection', (socket) => {
    // Also for a client that reads slowly, or sends a byte from time to time.
    const end = setTimeout(() => socket.destroy(), lastsMs);
    socket.on('close', () => clearTimeout(end));
    socket.on('error', () => socket.destroy());
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, current: () => string): void {
  const { method, url = '', headers } = request;
  const end = (status: number, body: string, type = 'text/plain; charset=utf-8', more = {}) => {
    response.writeHead(status, { 'content-type': type, connection: 'close', ...more });
    response.end(body);
  };
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (headers.host !== undefined && !OWN_HOST.test(headers.host)) end(421, 'ask by address\n');
  else if (method !== 'GET') end(405, 'GET only\n', undefined, { allow: 'GET' });
  else if (hasBody) end(400, 'no body\n');
  else if (url.split('?', 1)[0] === '/metrics') end(200, current(), TEXT_FORMAT);
  else end(404, 'see /metrics\n');
}
