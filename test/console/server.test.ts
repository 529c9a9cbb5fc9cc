import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type ServedConsole, serveConsole } from '../support/console/served-console.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';

/** The server of the console as a process: what it answers on its socket, and what it never does. */

const WEBHOOK = 'https://hooks.example.com/services/T000/B000/webhooksecret';
const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const ADDRESSES = [
  '/',
  '/h',
  '/s/payments',
  '/nothing',
  '/api/config',
  '/api/live?about=overview',
  '/api/live?about=service&service=payments',
  `/api/live?about=deployment&env=${ENV}&service=payments&deployment=${ID}`,
  '/api/history',
  '/api/standing?at=1',
  `/api/find?deployment=${ID}`,
  `/api/report?env=${ENV}&service=payments&deployment=${ID}&instance=i-0a1b2c3d`,
  '/api/run',
  '/api/roll-call',
  '/api/session',
  '/api/end',
];

let fleet: Fleet;
let served: ServedConsole;
beforeAll(async () => {
  fleet = await startFleet();
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as { environments: Record<string, object> };
  const verify = { run: ['verify', '--token', 'tokenofverify'] };
  Object.assign(config.environments[ENV] ?? {}, {
    notify: { webhook: WEBHOOK },
    services: { payments: { canary: 1, verify } },
  });
  await writeFile(file, stringify(config));
  served = await serveConsole(fleet);
});
afterAll(() => fleet.stop());

const pause = (id: string) => ({ argv: ['pause', `--env=${ENV}`, '--reason=why'], run: id });

/** The requests to the cloud that change something while `work` runs. */
async function changesOf(work: () => Promise<unknown>): Promise<string[]> {
  const from = fleet.cloud.requests.length;
  await work();
  return fleet.cloud.requests
    .slice(from)
    .map(({ operation }) => operation)
    .filter((operation) => /^(Put|Publish|Create|Delete|Copy|Complete|Upload|Send|Set|Tag)/.test(operation));
}

describe('another host', () => {
  test.each(['evil.test', 'evil.test:80', '127.0.0.1.evil.test', '[::ffff:7f00:1]'])(
    '%j is misdirected at every address',
    async (host) => {
      for (const path of ADDRESSES) {
        for (const method of ['GET', 'POST', 'HEAD']) {
          const { status } = await served.send(method, path, { host });
          expect([path, method, status]).toEqual([path, method, 421]);
        }
      }
    },
  );

  test('two hosts, none, and one in the target of the request are refused', async () => {
    const port = served.port;
    const raw = async (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(await served.raw(text))?.[1]);
    const close = 'Connection: close\r\n\r\n';
    expect(await raw(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: evil.test\r\n${close}`)).toBe(421);
    expect(await raw(`GET / HTTP/1.1\r\n${close}`)).toBe(421);
    expect(await raw(`GET / HTTP/1.0\r\n\r\n`)).toBe(421);
    expect(await raw(`GET http://evil.test/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${close}`)).toBe(400);
    expect(await raw(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${close}`)).toBe(
      400,
    );
    expect(await raw(`GET / HTTP/1.1\r\nHost: localhost:1\r\n${close}`)).toBe(200);
  });
});

test('every answer has all headers of the policy, no cookie and no header that opens it to others', async () => {
  const replies = [
    ...(await Promise.all(ADDRESSES.filter((one) => !one.includes('live')).map((path) => served.get(path)))),
    await served.get('/', { host: 'evil.test' }),
    await served.get('/', { 'if-none-match': String((await served.get('/')).headers.etag) }),
    await served.post('/api/run', {}),
    await served.post('/api/run', {}, { 'content-type': 'text/plain' }),
    await served.send('DELETE', '/', { host: 'localhost' }),
  ];
  expect(new Set(replies.map(({ status }) => status)).size).toBeGreaterThan(6);
  for (const { headers, status } of replies) {
    expect(headers, String(status)).toMatchObject({
      'content-security-policy': expect.stringContaining("require-trusted-types-for 'script'"),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    const names = Object.keys(headers).join();
    expect(names).not.toMatch(/set-cookie|access-control|x-powered-by|^server/);
  }
  for (const path of ADDRESSES.filter((one) => one.startsWith('/api/') && !one.includes('live'))) {
    expect((await served.get(path)).headers['cache-control']).toBe('no-store');
  }
});

describe('the key of the address', () => {
  test('is good for one exchange; the terminal tells of the second', async () => {
    const own = await serveConsole(fleet);
    const again = await own.post('/api/session', { key: own.key }, { authorization: '' });
    expect(again).toMatchObject({ status: 403, json: { error: { code: 'KEY_USED' } } });
    await expect.poll(() => own.program.stderr()).toContain('somebody else may have it');
    const other = await own.post('/api/session', { key: served.key }, { authorization: '' });
    expect(other).toMatchObject({ status: 403, json: { error: { code: 'KEY_WRONG' } } });
    // Every user of the machine can try keys: that does not bury what else the terminal says.
    for (let i = 0; i < 30; i += 1)
      await own.post('/api/session', { key: `wrong${i}` }, { authorization: '' });
    await expect.poll(() => own.program.stderr().split('"wrong"').length).toBe(11);
    own.program.process.kill();
    await own.program.finished;
  });

  test('and that of the session stand in no argument of a program, and in no log', async () => {
    await served.post('/api/run', pause('notakey12'), { 'content-type': 'text/plain' });
    const programs = (await readdir('/proc')).filter((one) => /^\d+$/.test(one));
    const lines = await Promise.all(
      programs.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    expect(lines.join('\n')).not.toContain(served.key);
    expect(served.program.stderr()).not.toContain(served.key);
  });

  test('End all sessions ends the session and its streams, and prints a new address', async () => {
    const own = await serveConsole(fleet);
    const stream = await own.open('about=overview');
    await stream.message('overview');
    expect((await own.post('/api/end', {})).status).toBe(200);
    await stream.ended;
    expect((await own.get('/api/config')).status).toBe(401);
    await expect.poll(() => own.addresses().length).toBe(2);
    const key = own.addresses()[1]?.split('#k=')[1];
    expect((await own.post('/api/session', { key }, { authorization: '' })).status).toBe(200);
    expect((await own.post('/api/session', { key: own.key }, { authorization: '' })).status).toBe(403);
    own.program.process.kill();
    await own.program.finished;
  });

  test.each([
    ['a cookie', { authorization: '', cookie: 'session=1' }],
    ['a session of another process', { authorization: 'Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
    ['nothing', { authorization: '' }],
  ])('is not replaced by %s', async (_, headers) => {
    for (const path of ADDRESSES.filter((one) => one.startsWith('/api/'))) {
      if (path === '/api/session') continue;
      const isPost = ['/api/run', '/api/roll-call', '/api/end'].includes(path);
      const reply = await (isPost ? served.post(path, {}, headers) : served.get(path, headers));
      expect([path, reply.status]).toEqual([path, 401]);
    }
  });
});

describe('a page elsewhere', () => {
  const foreign = { origin: 'http://127.0.0.1:9999' };
  test.each([
    ['another port of this machine', { ...foreign, 'sec-fetch-site': 'same-site' }, 403],
    ['another site', { ...foreign, 'sec-fetch-site': 'cross-site' }, 403],
    ['the address bar', { 'sec-fetch-site': 'none' }, 403],
    ['an old browser, elsewhere', { ...foreign, 'sec-fetch-site': '' }, 403],
    ['a form', { 'content-type': 'text/plain' }, 415],
    ['a page without our header', { 'x-trigger-deploy': '' }, 403],
  ])('changes nothing: %s', async (_, headers, status) => {
    const changed = await changesOf(async () => {
      const reply = await served.post('/api/run', pause('elsewhere1'), headers);
      expect(reply.status).toBe(status);
    });
    expect(changed).toEqual([]);
  });

  test('gets nothing: no header lets it read', async () => {
    const reply = await served.send('OPTIONS', '/api/config', {
      host: `127.0.0.1:${served.port}`,
      ...{
        ...foreign,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(reply.status).toBe(405);
    expect((await served.get('/api/config', { ...foreign, 'sec-fetch-site': 'same-site' })).status).toBe(403);
  });
});

describe('a body', () => {
  const run = (reason: string) => ({
    argv: ['pause', `--env=${ENV}`, `--reason=${reason}`],
    run: 'toolong12',
  });

  test('of 65 KB is refused, with its length and in chunks', async () => {
    expect((await served.post('/api/run', run('x'.repeat(65 * 1024)))).status).toBe(413);
    const long = JSON.stringify({ key: 'x'.repeat(65 * 1024) });
    const head = [
      'POST /api/session HTTP/1.1',
      `Host: 127.0.0.1:${served.port}`,
      'Content-Type: application/json',
      'X-Trigger-Deploy: 1',
      'Sec-Fetch-Site: same-origin',
      'Transfer-Encoding: chunked',
    ];
    const chunk = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`;
    expect(await served.raw(`${head.join('\r\n')}\r\n\r\n${chunk}`)).toMatch(/^HTTP\/1\.1 413/);
  });

  test.each([
    '{',
    '',
    'null',
    '[]',
    '{"argv":["status"],"run":"abcdefgh","__proto__":{"isAdmin":true}}',
    '"x"',
  ])('%j is no command', async (body) => {
    expect((await served.postText('/api/run', body)).status).toBe(400);
  });
});
