import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { serveMetrics } from '../../../../agent/metrics/endpoint.ts';
import { createLog, silentLog } from '../../../../shared/log.ts';
import { parseExposition } from '../../../support/agent/exposition.ts';
import { measured } from '../../../support/agent/metrics-fixture.ts';
import { heldClock, systemClock } from '../../../support/host/clock.ts';
import { freePort } from '../../../support/ports.ts';

async function served(more: { lastsMs?: number } = {}) {
  const port = await freePort();
  const stopping = new AbortController();
  const address = { host: '127.0.0.1', port };
  const log = silentLog();
  const parts = { address, read: measured().metrics.read, clock: systemClock, log, ...more };
  const ended = serveMetrics(parts, stopping.signal);
  onTestFinished(async () => {
    stopping.abort();
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(() =>
      fetch(`${url}/metrics`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    .toBe(true);
  return { port, url, stopping, ended };
}

/** What the server answers to these bytes, until it closes the connection. */
async function answerTo(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  return await text(socket).catch(() => '');
}

describe('the endpoint', () => {
  test('answers GET /metrics in the text format and closes the connection', async () => {
    const { url } = await served();
    const answer = await fetch(`${url}/metrics?name[]=x`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers.get('connection')).toBe('close');
    expect(parseExposition(await answer.text()).length).toBeGreaterThan(20);
  });

  test('has nothing else', async () => {
    const { url, port } = await served();
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await fetch(`${url}/metrics/../etc/passwd`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'DELETE' })).status).toBe(405);
    const body = 'GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\n\r\nhello';
    expect(await answerTo(port, body)).toContain('400 Bad Request');
    expect(await answerTo(port, 'nonsense\r\n\r\n')).toBe('');
    const long = `GET /metrics HTTP/1.1\r\nhost: ${'x'.repeat(5000)}\r\n\r\n`;
    expect(await answerTo(port, long)).not.toContain('200 OK');
  });

  test.each([
    ['127.0.0.1:9464', 200],
    ['localhost', 200],
    ['[::1]:9464', 200],
    ['rebound.example:9464', 421],
    ['127.0.0.1.rebound.example', 421],
    ['localhost.rebound.example', 421],
    ['', 421],
  ])('asked as %j answers %i', async (host, status) => {
    const { port } = await served();
    const request = `GET /metrics HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
    expect(await answerTo(port, request)).toContain(`HTTP/1.1 ${status} `);
  });

  test('answers one request of a connection only', async () => {
    const { port } = await served();
    const two = 'GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(2);
    const answers = await answerTo(port, two);
    expect(answers.split('HTTP/1.1 200').length - 1).toBe(1);
  });

  test('keeps few connections, and none that says nothing; others are answered again after that', async () => {
    const { url, port } = await served({ lastsMs: 500 });
    const idle = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
    const closed = idle.map((socket) =>
      once(
        socket.on('error', () => undefined),
        'close',
      ),
    );
    await Promise.any(closed);
    const open = () => idle.filter((socket) => !socket.destroyed).length;
    await expect.poll(open).toBeLessThanOrEqual(8);
    await Promise.all(closed);
    expect((await fetch(`${url}/metrics`)).ok).toBe(true);
  });

  test('ends with the agent, also while a client is connected', async () => {
    const { port, stopping, ended } = await served();
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    stopping.abort();
    await ended;
    await once(socket.resume(), 'close');
  });
});

test('a port that is taken is one warning, and is served once it is free', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { clock, putForward } = heldClock();
  const said: string[] = [];
  const log = createLog('silent', {});
  log.warn = ((_: object, message: string) => said.push(message)) as never;
  const stopping = new AbortController();
  const parts = { address: { host: '127.0.0.1', port }, read: measured().metrics.read, clock, log };
  const ended = serveMetrics(parts, stopping.signal);
  await expect.poll(() => said).toEqual([expect.stringContaining(`127.0.0.1:${port}: listen EADDRINUSE`)]);
  other.close();
  await once(other, 'close');
  const isServed = async () => {
    await putForward(60_000);
    return await fetch(`http://127.0.0.1:${port}/metrics`).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  await expect.poll(isServed).toBe(true);
  expect(said).toHaveLength(1);
  stopping.abort();
  await ended;
});
