import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A small HTTP server that accepts what a Slack incoming webhook accepts, and can be made to misbehave. */
export interface Webhook {
  /** Its address, with a secret in it. */
  readonly address: string;
  readonly secret: string;
  /** The texts that were posted to that address, in order, whatever was answered. */
  readonly texts: string[];
  /** How many requests there were, at any address. */
  requests(): number;
  /** Resolves with the first text, posted or to come, that fits. */
  text(which: (text: string) => boolean): Promise<string>;
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

const ok: Answer = (_request, response) => void response.end('ok');

export async function startWebhook(answer: Answer = ok): Promise<Webhook> {
  const secret = 'B0T0K3N';
  const path = `/services/T000/${secret}`;
  const texts: string[] = [];
  const watchers = new Set<() => void>();
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const nth = requests;
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      if (request.url === path) texts.push((JSON.parse(body) as { text: string }).text);
      for (const look of watchers) look();
      answer(request, response, nth);
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', () => listening.resolve());
  await listening.promise;
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}${path}`,
    secret,
    texts,
    requests: () => requests,
    text(which) {
      const { promise, resolve } = Promise.withResolvers<string>();
      const look = () => {
        const found = texts.find(which);
        if (found !== undefined) resolve(found);
      };
      watchers.add(look);
      look();
      return promise.finally(() => watchers.delete(look));
    },
    close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      return closed.promise;
    },
  };
}
