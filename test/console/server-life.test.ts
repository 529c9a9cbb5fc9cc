import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type ServedConsole, serveConsole } from '../support/console/served-console.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';

/** The life of a console: many pages, odd connections, many requests at once, and its end. */

const WEBHOOK = 'https://hooks.example.com/services/T000/B000/webhooksecret';
const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';

let fleet: Fleet;
let served: ServedConsole;
beforeAll(async () => {
  fleet = await startFleet();
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as { environments: Record<string, object> };
  const verify = { run: ['verify', '--token', 'tokenofverify'] };
  const services = { payments: { canary: 1, verify } };
  Object.assign(config.environments[ENV] ?? {}, { notify: { webhook: WEBHOOK }, services });
  await writeFile(file, stringify(config));
  served = await serveConsole(fleet);
});
afterAll(() => fleet.stop());

const pause = (id: string, service = '') => ({
  argv: ['pause', ...(service === '' ? [] : [service]), `--env=${ENV}`, '--reason=why'],
  run: id,
});
const changesOf = (from: number) =>
  fleet.cloud.requests
    .slice(from)
    .map(({ operation }) => operation)
    .filter((one) => /^(Put|Publish|Create|Delete|Copy|Complete|Upload|Send|Set|Tag)/.test(one));

describe('pages', () => {
  test('eight look at the same time, and 20 cause the calls of one', async () => {
    const about = 'about=overview';
    const first = await served.open(about);
    await first.message('overview');
    const before = fleet.cloud.requests.length;
    const others = await Promise.all(Array.from({ length: 19 }, () => served.open(about)));
    await Promise.all(others.map((one) => one.message('overview')));
    // The one watch may read once meanwhile; 19 of their own would read 19 times.
    expect(fleet.cloud.requests.length - before).toBeLessThan(19);
    for (const one of [first, ...others]) one.drop();
  });

  test('that only look change nothing in the cloud', async () => {
    const from = fleet.cloud.requests.length;
    const streams = await Promise.all(
      ['about=overview', 'about=service&service=payments'].map((about) => served.open(about)),
    );
    await streams[0]?.message('overview');
    await streams[1]?.message('service');
    await Promise.all(['/api/config', '/api/history', '/api/standing?at=1'].map((path) => served.get(path)));
    expect(changesOf(from)).toEqual([]);
    for (const one of streams) one.drop();
  });

  test('200 look at one console, and the next one is told so', async () => {
    const own = await serveConsole(fleet);
    const streams = await Promise.all(Array.from({ length: 200 }, () => own.open('about=overview')));
    await Promise.all(streams.map((one) => one.message('overview')));
    expect((await own.get('/api/live?about=overview')).status).toBe(503);
    streams[0]?.drop();
    await expect
      .poll(async () =>
        (await own.open('about=overview')).message('overview').then(
          () => 200,
          () => 503,
        ),
      )
      .toBe(200);
    own.program.process.kill();
    await own.program.finished;
  });
});

test('100 requests that change something at once: ten a minute are carried out', async () => {
  const own = await serveConsole(fleet);
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => own.post('/api/run', pause(`hundred${i}`, `service${i}`))),
  );
  const statuses = replies.map(({ status }) => status);
  expect(statuses.filter((one) => one !== 429)).toHaveLength(10);
  expect(statuses.filter((one) => one === 429)).toHaveLength(90);
  own.program.process.kill();
  await own.program.finished;
});

test('a double click is one run', async () => {
  const from = fleet.cloud.requests.length;
  const both = await Promise.all([
    served.post('/api/run', pause('double12')),
    served.post('/api/run', pause('double12')),
  ]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect(both[1]?.json).toEqual(both[0]?.json);
  expect(changesOf(from).filter((one) => one === 'PutObject')).toHaveLength(1);
  const unpause = { argv: ['unpause', `--env=${ENV}`], run: 'undouble12' };
  expect((await served.post('/api/run', unpause)).status).toBe(200);
});

describe('an odd connection', () => {
  const host = () => `Host: 127.0.0.1:${served.port}\r\n`;
  const end = 'Connection: close\r\n\r\n';
  const statusesOf = (text: string) =>
    [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));

  test.each([
    ['headers of 17 KB', () => `GET / HTTP/1.1\r\n${host()}X-Long: ${'x'.repeat(17 * 1024)}\r\n\r\n`, [431]],
    ['no HTTP', () => '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n', [400]],
    ['a wrong length', () => `POST /api/run HTTP/1.1\r\n${host()}Content-Length: -1\r\n\r\n`, [400]],
    [
      'two lengths',
      () => `POST / HTTP/1.1\r\n${host()}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400],
    ],
    ['a line feed in a header', () => `GET / HTTP/1.1\r\n${host()}X: a\nSet-Cookie: b\r\n${end}`, [400]],
    ['an upgrade', () => `GET /api/live HTTP/1.1\r\n${host()}Upgrade: websocket\r\n${end}`, [401]],
    ['another expectation', () => `GET / HTTP/1.1\r\n${host()}Expect: miracle\r\n${end}`, [200]],
    ['two slashes', () => `GET //evil.test/%2e%2e HTTP/1.1\r\n${host()}${end}`, [404]],
    ['an encoded path', () => `GET /api/%63onfig HTTP/1.1\r\n${host()}${end}`, [404]],
    ['a long target', () => `GET /${'x'.repeat(8000)} HTTP/1.1\r\n${host()}${end}`, [404]],
    [
      'several requests at once',
      () =>
        `GET /h HTTP/1.1\r\n${host()}\r\nHEAD / HTTP/1.1\r\n${host()}\r\nGET /api/config HTTP/1.1\r\n${host()}${end}`,
      [200, 200, 401],
    ],
    [
      'a request behind one that is refused unread',
      () => `POST /api/run HTTP/1.1\r\n${host()}Content-Length: 5\r\n\r\nGET / HTTP/1.1\r\n${host()}${end}`,
      [403],
    ],
  ])('gets its answer, and no other: %s', async (_, bytes, statuses) => {
    expect(statusesOf(await served.raw(bytes()))).toEqual(statuses);
    expect((await served.get('/api/config')).status).toBe(200);
  });

  test('gets the headers of every answer, also when it is no HTTP', async () => {
    for (const bytes of ['nonsense\r\n\r\n', `GET / HTTP/1.1\r\n${host()}X: ${'x'.repeat(20_000)}\r\n\r\n`]) {
      expect(await served.raw(bytes)).toMatch(/content-security-policy: default-src 'none'.*nosniff/s);
    }
  });

  test('that sends its headers byte by byte ends', async () => {
    expect(statusesOf(await served.raw('GET / HTTP/1.1\r\nHost: 127'))).toEqual([408]);
  });

  test('asks by HEAD, and gets no body', async () => {
    for (const path of ['/', '/api/config', '/api/live?about=overview', '/nothing']) {
      const { status, text } = await served.send('HEAD', path, { host: 'localhost' });
      expect([path, text]).toEqual([path, '']);
      expect(status).not.toBe(405);
    }
  });
});

test('no answer and no log has the signing key, a credential, the webhook, or the command of verify', async () => {
  const paths = ['/', '/api/config', '/api/history', `/api/find?deployment=${ID}`, '/api/standing?at=1'];
  for (const path of paths) await served.get(path);
  const lines = [['status'], ['history', 'payments'], ['plan', 'payments', '1.4.2'], ['payments', '1.4.2']];
  for (const [i, words] of lines.entries()) {
    await served.post('/api/run', { argv: [...words, `--env=${ENV}`], run: `secrets${i}` });
  }
  const stream = await served.open('about=service&service=payments');
  await stream.message('service');
  stream.drop();
  const { d } = JSON.parse(await readFile(join(fleet.dir, 'keys', 'ci.key.json'), 'utf8')) as { d: string };
  const secret = fleet.env.AWS_SECRET_ACCESS_KEY ?? '';
  expect(d.length).toBeGreaterThan(30);
  expect(secret.length).toBeGreaterThan(3);
  const everything = [...served.everything, JSON.stringify(stream.messages), served.program.stderr()].join(
    '\n',
  );
  expect(everything).toContain('payments');
  for (const word of [d, secret, WEBHOOK, 'webhooksecret', 'tokenofverify']) {
    expect(everything).not.toContain(word);
  }
});

test.each([
  [['--listen', '0.0.0.0:0'], 'console.trust'],
  [['--listen', '[::]:0'], 'console.trust'],
  [['--listen', '/tmp/console.sock'], 'console.trust'],
  [['--listen', 'nonsense'], 'no address'],
  [['--env', 'nosuch'], 'no environment'],
  [['--port', '65536'], '--port'],
])('console %j does not start', async (args, why) => {
  const { code, stderr, stdout } = await fleet.publisher('console', ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
  expect(stdout).toBe('');
});

test('a port that is taken, also on ::1 only, is an error with what to do', async () => {
  const { code, stderr } = await fleet.publisher('console', '--port', String(served.port));
  expect(code).toBe(2);
  expect(stderr).toContain('EADDRINUSE');
});

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s closes the streams and exits with 0 in seconds',
    async (signal) => {
      const own = await serveConsole(fleet);
      const stream = await own.open('about=overview');
      await stream.message('overview');
      own.program.process.kill(signal);
      await stream.ended;
      const { code, stderr } = await own.program.finished;
      expect(code).toBe(0);
      expect(stderr).not.toContain('Error');
    },
  );

  test('by SIGKILL leaves nothing that the next console or a terminal meets', async () => {
    const own = await serveConsole(fleet);
    const stream = await own.open('about=overview');
    await stream.message('overview');
    const before = (await fleet.publisher('status', '--env', ENV, '--output', 'json')).stdout;
    own.program.process.kill('SIGKILL');
    await own.program.finished;
    const next = await serveConsole(fleet);
    expect((await next.get('/api/config')).status).toBe(200);
    expect((await fleet.publisher('status', '--env', ENV, '--output', 'json')).stdout).toBe(before);
    next.program.process.kill();
    await next.program.finished;
  });
});
