import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import type { LiveMessage } from '../../../publisher/console/api.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Program } from '../programs.ts';

/** A console as a process, and requests to it as a browser or something worse would make them. */

export interface Reply {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
  json: Record<string, unknown>;
}

export interface Stream {
  /** Resolves with the first message of that type, past or to come; rejects when the stream ends before it. */
  message<T extends LiveMessage['type']>(type: T): Promise<Extract<LiveMessage, { type: T }>>;
  readonly messages: readonly LiveMessage[];
  /** Resolves when the console has ended it. */
  readonly ended: Promise<void>;
  drop(): void;
}

export interface ServedConsole {
  program: Program;
  port: number;
  /** The key of the address. */
  key: string;
  /** All that it has answered, headers included. */
  everything: string[];
  /** The addresses that it has printed. */
  addresses(): string[];
  /** As the page does, with its session. */
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
  post(path: string, json: unknown, headers?: Record<string, string>): Promise<Reply>;
  /** A body that may be no JSON. */
  postText(path: string, body: string): Promise<Reply>;
  /** Any request. */
  send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Reply>;
  /** Sends bytes, and resolves with all that comes until the console ends the connection. */
  raw(bytes: string): Promise<string>;
  open(about: string): Promise<Stream>;
}

/** Starts a console of the fleet and exchanges its key for a session. */
export async function serveConsole(fleet: Fleet, ...args: string[]): Promise<ServedConsole> {
  const program = fleet.startPublisher('console', '--port', '0', '--output', 'json', ...args);
  const line = await program.line((one) => one.includes('"address"'));
  const address = new URL((JSON.parse(line) as { address: string }).address);
  const port = Number(address.port);
  const key = address.hash.slice('#k='.length);
  const everything: string[] = [];
  const own = { host: `127.0.0.1:${port}` };
  const page = {
    ...own,
    'content-type': 'application/json',
    'x-trigger-deploy': '1',
    'sec-fetch-site': 'same-origin',
  };
  const send: ServedConsole['send'] = async (method, path, headers, body) => {
    const reply = await ask(port, method, path, headers, body);
    everything.push(JSON.stringify(reply.headers), reply.text);
    return reply;
  };
  const given = await send('POST', '/api/session', page, JSON.stringify({ key }));
  const authorization = `Bearer ${given.json.session}`;
  return {
    ...{ program, port, key, everything, send },
    addresses: () =>
      program
        .stdout()
        .split('\n')
        .filter((one) => one.includes('"address"'))
        .map((one) => (JSON.parse(one) as { address: string }).address),
    get: (path, headers = {}) => send('GET', path, { ...own, authorization, ...headers }),
    post: (path, json, headers = {}) =>
      send('POST', path, { ...page, authorization, ...headers }, JSON.stringify(json)),
    postText: (path, body) => send('POST', path, { ...page, authorization }, body),
    raw: (bytes) => rawReply(port, bytes),
    open: (about) => openStream(port, `/api/live?${about}`, { ...own, authorization }),
  };
}

async function ask(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Reply> {
  const response = await begin(port, method, path, headers, body);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  const isJson = response.headers['content-type']?.startsWith('application/json') ?? false;
  const json = isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: response.statusCode ?? 0, headers: response.headers, text, json };
}

async function begin(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, resolve);
  sent.once('error', reject);
  sent.end(body);
  return await promise;
}

async function openStream(port: number, path: string, headers: Record<string, string>): Promise<Stream> {
  const response = await begin(port, 'GET', path, headers);
  const messages: LiveMessage[] = [];
  const waiting = new Set<() => void>();
  const ended = Promise.withResolvers<void>();
  let text = '';
  let isOver = false;
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (text + chunk).split('\n\n');
    text = parts.pop() ?? '';
    messages.push(...parts.map((one) => JSON.parse(one.replace(/^data: /, '')) as LiveMessage));
    for (const look of waiting) look();
  });
  const over = () => {
    isOver = true;
    ended.resolve();
    for (const look of waiting) look();
  };
  response.once('close', over).on('error', over);
  return {
    messages,
    ended: ended.promise,
    drop: () => void response.destroy(),
    async message(type) {
      const { promise, resolve, reject } = Promise.withResolvers<LiveMessage>();
      const look = () => {
        const found = messages.find((one) => one.type === type);
        if (found !== undefined) resolve(found);
        else if (isOver) reject(new Error(`the stream ended without ${type}`));
      };
      waiting.add(look);
      look();
      return (await promise.finally(() => waiting.delete(look))) as never;
    },
  };
}

async function rawReply(port: number, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => undefined).once('close', () => resolve(text));
  return await promise;
}
