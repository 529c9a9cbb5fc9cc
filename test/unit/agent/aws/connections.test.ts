import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer, get as httpsGet } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createConnections } from '../../../../agent/aws/connections.ts';
import { serve } from '../../../support/aws/fixture.ts';

const BODY = randomBytes(3_000_000);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const PSK = { psk: Buffer.alloc(32, 7), identity: 'test' };

/** TLS with a shared key needs no certificate. */
async function serveTls(listener: RequestListener): Promise<string> {
  const server = createTlsServer({ ciphers: 'PSK', pskCallback: () => PSK.psk }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connections() {
  const { httpAgent, httpsAgent } = createConnections();
  onTestFinished(() => {
    httpAgent.destroy();
    httpsAgent.destroy();
  });
  const tls = { ciphers: 'PSK', pskCallback: () => PSK, checkServerIdentity: () => undefined };
  Object.assign(httpsAgent.options, tls);
  return async (url: string): Promise<IncomingMessage> => {
    const request = url.startsWith('https:')
      ? httpsGet(url, { agent: httpsAgent })
      : httpGet(url, { agent: httpAgent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
}

const SERVERS = [
  ['http', serve],
  ['https', serveTls],
] as const;

test.each(SERVERS)(
  'the bytes of several answers over %s at once are right, also of one that is read later',
  async (_, start) => {
    const url = await start((_request, response) => void response.end(BODY));
    const get = connections();
    const answers = await Promise.all([1, 2, 3, 4].map(() => get(url)));
    const later = await get(url);
    const read = async (answer: IncomingMessage) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) {
        chunks.push(chunk);
        await turn();
      }
      return sha256(Buffer.concat(chunks));
    };
    expect(await Promise.all(answers.map(read))).toEqual(Array(4).fill(sha256(BODY)));
    expect(await read(later)).toBe(sha256(BODY));
  },
);

test.each(SERVERS)('a connection over %s is used again', async (_, start) => {
  const ports = new Set<number | undefined>();
  const url = await start((request, response) => {
    ports.add(request.socket.remotePort);
    response.end(BODY);
  });
  const get = connections();
  for (let n = 0; n < 4; n += 1) {
    const answer = await get(url);
    await once(answer.resume(), 'end');
    await turn();
  }
  expect(ports.size).toBe(1);
});

test.each(SERVERS)(
  'what is kept of an answer over %s is not memory that the connection reads into',
  async (_, start) => {
    const url = await start((_request, response) => void response.end(BODY));
    const get = connections();
    const memory = new Set<ArrayBufferLike>();
    let chunks = 0;
    for await (const chunk of await get(url)) {
      chunks += 1;
      memory.add((chunk as Buffer).buffer);
      expect((chunk as Buffer).buffer.byteLength).toBe((chunk as Buffer).length);
    }
    expect(chunks).toBeGreaterThan(10);
    expect(memory.size).toBe(chunks);
  },
);
