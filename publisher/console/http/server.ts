import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Answer, type Connection, refused, SECURITY_HEADERS } from './answer.ts';
import type { Asked } from './router.ts';

/** HTTP: requests as the router takes them, and its answers as they are sent. */

/** An idle connection is kept longer than a load balancer keeps it, ms: else it may send a request into its end. */
const KEEP_ALIVE_MS = 75_000;
const MOST_HEADER_BYTES = 16 * 1024;
/** A request is there after this time, or its connection ends, ms. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 20_000;
const CHECK_MS = 2000;
/** A connection on which nothing moves ends after this time, ms: whoever does not read would hold the answer for ever. */
const STILL_MS = 90_000;
const MOST_CONNECTIONS = 1000;

/** A server that is not listening yet. `onError` hears of an answer that could not be made. */
export function createConsoleServer(
  route: (asked: Asked) => Promise<Answer>,
  onError: (error: unknown) => void,
): Server {
  const server = createServer(
    {
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The router refuses such a request itself, with the headers of every answer.
      requireHostHeader: false,
    },
    (request, response) => void answer(request, response),
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.timeout = STILL_MS;
  server.on('clientError', refuseUnreadable);
  server.on('checkExpectation', (request, response) => void answer(request, response));
  return server;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    let made: Answer;
    try {
      const { method = '', url: target = '' } = request;
      const { headers, headersDistinct } = request;
      const body = (most: number) => readBody(request, most);
      made = await route({ method, target, headers, headersDistinct, body, signal: gone.signal });
    } catch (error) {
      if (!gone.signal.aborted) onError(error);
      made = refused(500, 'INTERNAL', 'the console has failed: its log says why', { ends: true });
    }
    send(request, response, made);
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  const { status, json, bytes, stream, ends } = answer;
  const body = json === undefined ? bytes : Buffer.from(JSON.stringify(json));
  const isApi = json !== undefined || stream !== undefined;
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    ...(isApi && { 'cache-control': 'no-store' }),
    ...(json !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
    ...(body !== undefined && { 'content-length': String(body.byteLength) }),
    ...(ends === true && { connection: 'close' }),
    ...answer.headers,
  });
  if (stream !== undefined && request.method !== 'HEAD') {
    response.flushHeaders();
    stream(connectionOf(response));
    return;
  }
  response.end(request.method === 'HEAD' ? undefined : body);
}

function connectionOf(response: ServerResponse): Connection {
  response.on('error', () => undefined);
  response.socket?.setNoDelay(true);
  return {
    write: (text) => response.write(text),
    onSent: (then) => void response.once('drain', then),
    end: () => void response.end(),
    destroy: () => void response.destroy(),
    onGone: (then) => void response.once('close', then),
  };
}

/** Reads the body; undefined when it has more than `most` bytes: then the rest is not read. */
async function readBody(request: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Answers what is no HTTP, or has headers that are too large or too slow. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  const headers = { ...SECURITY_HEADERS, connection: 'close', 'content-length': '0' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${[status, ...lines].join('\r\n')}\r\n\r\n`);
}
