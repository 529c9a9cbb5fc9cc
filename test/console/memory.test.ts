import { once } from 'node:events';
import { get as httpGet, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LiveMessage } from '../../publisher/console/api.ts';
import { createRouter } from '../../publisher/console/http/router.ts';
import { createConsoleServer } from '../../publisher/console/http/server.ts';
import { type FakeConsole, fakeConsole, startedEvent } from '../support/console/fake-services.ts';

/** A console that lives for weeks: 10,000 opened and dropped streams and 1,000 commands leave nothing behind. */

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const CELLS = Array.from({ length: 300 }, (_, i) => ({
  env: 'dev',
  service: `service-${i}`,
  text: 'x'.repeat(200),
}));
const SNAPSHOT = {
  type: 'overview',
  view: { at: 0, environments: [], cells: CELLS },
} as unknown as LiveMessage;

let server: Server;
let made: FakeConsole;
let opened = 0;
const errors: unknown[] = [];
beforeAll(async () => {
  made = fakeConsole({
    play: async (_, order) => {
      for (let i = 0; i < 100; i += 1)
        order.emit({ type: 'note', at: i, level: 'info', text: 'x'.repeat(500) });
      order.emit(startedEvent('01JDB2Q0V7M3N8T5R9XKZC4W6H'));
      return { kind: 'driven', exitCode: 0 };
    },
  });
  const looks = {
    ...made.services.looks,
    overview: () => async (show: (message: LiveMessage) => void, signal: AbortSignal) => {
      opened += 1;
      const timer = setInterval(() => show(SNAPSHOT), 5);
      signal.addEventListener('abort', () => clearInterval(timer));
      return { snapshot: () => SNAPSHOT };
    },
  };
  server = createConsoleServer(createRouter({ ...made.services, looks }), (error) => errors.push(error));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  made.services.watches.close();
  server.closeAllConnections();
  server.close();
});

/** Opens a stream, waits for its first bytes, and drops it without a word. */
async function openAndDrop(): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const headers = { host: `127.0.0.1:${port}` };
  const options = { port, host: '127.0.0.1', path: '/api/live?about=overview', headers, agent: false };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  httpGet(options, resolve).on('error', reject);
  const response = await promise;
  await once(response, 'readable');
  response.destroy();
}

async function streams(count: number): Promise<void> {
  for (let done = 0; done < count; done += 50) await Promise.all(Array.from({ length: 50 }, openAndDrop));
}

async function commands(from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i += 1) {
    const json = { argv: ['deploy', 'payments', '1.4.2', '--env=dev'], run: `memory-${i}` };
    made.pass(60_000);
    expect((await made.ask({ target: '/api/run', json })).status).toBeLessThan(300);
  }
}

const connections = async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.getConnections((_, count) => resolve(count));
  return await promise;
};

async function heapMb(): Promise<number> {
  await expect.poll(connections).toBe(0);
  gc();
  gc();
  return process.memoryUsage().heapUsed / 1e6;
}

test('10,000 opened and dropped streams leave no watch, no connection and no memory', async () => {
  await streams(1000);
  const before = await heapMb();
  const begun = opened;
  await streams(10_000);
  const after = await heapMb();
  expect(after / before).toBeLessThan(1.1);
  // One watch for all of them: it went on while streams came and went.
  expect(opened - begun).toBeLessThan(10);
  expect(made.services.watches.count()).toBe(1);
  expect(errors).toEqual([]);
});

test('1,000 commands leave no memory and no timer, once nobody can ask for them again', async () => {
  await commands(0, 50);
  const before = await heapMb();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await commands(50, 1000);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
  expect(made.services.runs.views().length).toBeLessThanOrEqual(50);
  expect((await heapMb()) / before).toBeLessThan(1.1);
});
