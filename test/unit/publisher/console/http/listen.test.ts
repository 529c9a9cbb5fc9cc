import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  isLoopback,
  listenAt,
  listenOnLoopback,
  listenPlaceOf,
} from '../../../../../publisher/console/http/listen.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'listen-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe('a place to listen at', () => {
  test.each([
    ['127.0.0.1:7117', { host: '127.0.0.1', port: 7117 }, true],
    ['localhost:0', { host: '127.0.0.1', port: 0 }, true],
    ['[::1]:7117', { host: '::1', port: 7117 }, true],
    ['127.1.2.3:1', { host: '127.1.2.3', port: 1 }, true],
    ['0.0.0.0:7117', { host: '0.0.0.0', port: 7117 }, false],
    ['[::]:7117', { host: '::', port: 7117 }, false],
    ['[::ffff:127.0.0.1]:1', { host: '::ffff:127.0.0.1', port: 1 }, false],
    ['10.0.0.5:7117', { host: '10.0.0.5', port: 7117 }, false],
    ['/run/console.sock', { path: '/run/console.sock' }, false],
    ['./console.sock', { path: './console.sock' }, false],
  ])('%s', (typed, place, loopback) => {
    expect(listenPlaceOf(typed)).toEqual(place);
    expect(isLoopback(listenPlaceOf(typed))).toBe(loopback);
  });

  test.each([
    '',
    ':7117',
    '7117',
    '127.0.0.1',
    'host:1',
    '127.0.0.1:65536',
    '::1:7117',
    '[127.0.0.1:1',
    '127.0.0.1:-1',
  ])('%j is none', (typed) => {
    expect(() => listenPlaceOf(typed)).toThrow('is no address');
  });
});

test('a port is free on both loopback addresses, or it is not taken', async () => {
  const { servers, port } = await listenOnLoopback(() => createServer(), 0);
  await expect(listenOnLoopback(() => createServer(), port)).rejects.toMatchObject({ code: 'USAGE' });
  servers[0]?.close();
  // Only ::1 is taken now: a page that is opened at localhost would be another program's.
  if (servers.length === 2) {
    await expect(listenOnLoopback(() => createServer(), port)).rejects.toMatchObject({ code: 'USAGE' });
  }
  servers[1]?.close();
});

test('a socket that a killed console left is replaced; one on which somebody listens is not', async () => {
  const path = join(directory, 'console.sock');
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)},()=>process.kill(process.pid,'SIGKILL'))`;
  expect(spawnSync(process.execPath, ['-e', program]).signal).toBe('SIGKILL');
  const server = createServer();
  await listenAt(server, { path });
  await expect(listenAt(createServer(), { path })).rejects.toMatchObject({ code: 'USAGE' });
  server.close();
});

test('a file that is no socket stays', async () => {
  const path = join(directory, 'trigger-deploy.yaml');
  await writeFile(path, 'environments: {}');
  await expect(listenAt(createServer(), { path })).rejects.toMatchObject({ code: 'USAGE' });
  expect(await readFile(path, 'utf8')).toBe('environments: {}');
});
