import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The server of a stand-in for a service of AWS: it listens on loopback, and ends with all of its connections. */
export interface StandInServer {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** `answer` gets each request with the text of its body. */
export async function startStandIn(
  answer: (request: IncomingMessage, text: string, response: ServerResponse) => void,
  onConnection: () => void = () => undefined,
): Promise<StandInServer> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    answer(request, text, response);
  }).listen(0, '127.0.0.1');
  server.on('connection', onConnection);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The access key in the signature of a request: `Credential=AKIA…/20260101/…`; empty without one. */
export const accessKeyOf = ({ headers }: IncomingMessage): string =>
  /Credential=([^/,\s]+)\//.exec(headers.authorization ?? '')?.[1] ?? '';
