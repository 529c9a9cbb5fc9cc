import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfiguredCheck } from '../../../../../agent/host/services/check-types.ts';
import { createHealthProbe } from '../../../../../agent/host/services/health.ts';
import { calm } from '../../../../support/host/clock.ts';
import { programsOnPath } from '../../../../support/host/temporary.ts';

const probe = createHealthProbe();
const expected = {
  service: 'payments',
  version: '1.4.2',
  environment: { TRIGGER_DEPLOY_SERVICE: 'payments', TRIGGER_DEPLOY_VERSION: '1.4.2' },
};
const patience = { successes: 1, deadline: 1000, timeout: 2000 };
type Spec = ConfiguredCheck extends infer One
  ? One extends ConfiguredCheck
    ? Omit<One, keyof typeof patience>
    : never
  : never;

const tried = (spec: Spec, timeout = 2000) =>
  probe.probe({ ...patience, ...spec, timeout } as ConfiguredCheck, expected, calm);

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function served(listener: RequestListener) {
  const server = createServer(listener);
  const port = await listening(server);
  onTestFinished(() => server.closeAllConnections());
  return { kind: 'http', url: `http://127.0.0.1:${port}/health`, status: 200 } as const;
}

test.each<[Spec, string]>([
  [{ kind: 'http', url: 'http://127.0.0.1:8080/health', status: 200 }, 'GET http://127.0.0.1:8080/health'],
  [{ kind: 'tcp', host: '127.0.0.1', port: 443 }, 'tcp 127.0.0.1:443'],
  [{ kind: 'command', run: ['/usr/bin/edge-check', '{version}'] }, 'command /usr/bin/edge-check'],
  [{ kind: 'systemd', unit: 'payments.socket' }, 'unit payments.socket'],
])('%o is described as %s', (spec, description) => {
  expect(probe.describe({ ...patience, ...spec } as ConfiguredCheck)).toBe(description);
});

test('the right status passes', async () => {
  const check = await served((_request, response) => response.end());
  expect(await tried(check)).toEqual({ ok: true, note: 'http 200' });
  expect(await tried({ ...check, status: 204 })).toEqual({ ok: false, note: 'http 200' });
});

test('another status is in the note', async () => {
  const check = await served((_request, response) => response.writeHead(503).end());
  expect(await tried(check)).toEqual({ ok: false, note: 'http 503' });
});

test('version and service are substituted in the expected body', async () => {
  const check = await served((_request, response) => response.end('{"app":"payments","version":"1.4.2"}'));
  expect(await tried({ ...check, body: '"app":"{service}","version":"{version}"' })).toEqual({
    ok: true,
    note: 'http 200',
  });
});

test('a service of another version fails, with the expected text in the note', async () => {
  const check = await served((_request, response) => response.end('{"version":"1.4.1"}'));
  expect(await tried({ ...check, body: '"version":"{version}"' })).toEqual({
    ok: false,
    note: 'http 200 without "version":"1.4.2"',
  });
});

test('version and service are substituted in the URL', async () => {
  const check = await served((request, response) =>
    response.writeHead(request.url === '/payments/1.4.2' ? 200 : 404).end(),
  );
  const url = check.url.replace('/health', '/{service}/{version}');
  expect(await tried({ ...check, url })).toEqual({ ok: true, note: 'http 200' });
});

test('a redirect is an answer, and is not followed', async () => {
  const check = await served((request, response) => {
    if (request.url === '/health') response.writeHead(302, { location: '/login' }).end();
    else response.end('fine');
  });
  expect(await tried(check)).toEqual({ ok: false, note: 'http 302' });
});

test('a body that matches at its beginning passes although it never ends', async () => {
  const check = await served((_request, response) => void response.write('version 1.4.2'));
  expect(await tried({ ...check, body: '{version}' })).toEqual({ ok: true, note: 'http 200' });
});

test('a body is read up to a limit: an endless one without the text fails', async () => {
  const check = await served((_request, response) => {
    const more = () => {
      while (response.write('x'.repeat(16_384)));
      response.once('drain', more);
    };
    more();
  });
  expect(await tried({ ...check, body: 'never' }, 5000)).toEqual({
    ok: false,
    note: 'http 200 without never',
  });
});

test('a service that does not answer fails with the timeout in the note', async () => {
  const check = await served(() => {});
  expect(await tried(check, 200)).toEqual({ ok: false, note: 'http no answer within 200 ms' });
});

test('a body that stops half-way fails with the timeout in the note', async () => {
  const check = await served((_request, response) => void response.write('{"versi'));
  expect(await tried({ ...check, body: 'version' }, 200)).toEqual({
    ok: false,
    note: 'http no answer within 200 ms',
  });
});

test('a port without a listener is refused', async () => {
  const server = createTcpServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  expect(await tried({ kind: 'http', url: `http://127.0.0.1:${port}/`, status: 200 })).toEqual({
    ok: false,
    note: 'http refused',
  });
  expect(await tried({ kind: 'http', url: `http://localhost:${port}/`, status: 200 })).toEqual({
    ok: false,
    note: 'http refused',
  });
  expect(await tried({ kind: 'tcp', host: '127.0.0.1', port })).toEqual({ ok: false, note: 'tcp refused' });
});

test('a connection that breaks is in the note', async () => {
  const port = await listening(createTcpServer((socket) => socket.destroy()));
  expect(await tried({ kind: 'http', url: `http://127.0.0.1:${port}/`, status: 200 })).toEqual({
    ok: false,
    note: 'http connection reset',
  });
});

test('an answer that is not HTTP fails', async () => {
  const port = await listening(createTcpServer((socket) => void socket.end('SSH-2.0-OpenSSH\r\n')));
  const { ok, note } = await tried({ kind: 'http', url: `http://127.0.0.1:${port}/`, status: 200 });
  expect(ok).toBe(false);
  expect(note).toMatch(/^http /);
});

test('a TCP port that accepts a connection passes', async () => {
  const port = await listening(createTcpServer((socket) => void socket.destroy()));
  expect(await tried({ kind: 'tcp', host: '127.0.0.1', port })).toEqual({ ok: true, note: 'tcp open' });
});

test('a command passes by its exit code, and receives service and version', async () => {
  const run = [
    '/bin/sh',
    '-c',
    'test "$TRIGGER_DEPLOY_SERVICE $TRIGGER_DEPLOY_VERSION $0" = "payments 1.4.2 1.4.2"',
    '{version}',
  ];
  expect(await tried({ kind: 'command', run })).toEqual({ ok: true, note: 'command exit 0' });
  expect(await tried({ kind: 'command', run: ['/bin/false'] })).toEqual({
    ok: false,
    note: 'command exit 1',
  });
});

test('a command that hangs or does not exist fails without an exception', async () => {
  expect(await tried({ kind: 'command', run: ['/bin/sleep', '300'] }, 200)).toEqual({
    ok: false,
    note: 'command no answer within 200 ms',
  });
  const { ok, note } = await tried({ kind: 'command', run: ['/nowhere/check'] });
  expect(ok).toBe(false);
  expect(note).toContain('/nowhere/check');
});

test('a unit passes when systemd calls it active, or when it reloads its configuration', async () => {
  await programsOnPath({ systemctl: 'printf "ActiveState=active\\nSubState=running\\n"' });
  expect(await tried({ kind: 'systemd', unit: 'x.socket' })).toEqual({
    ok: true,
    note: 'systemd active (running)',
  });
  await programsOnPath({ systemctl: 'printf "ActiveState=reloading\\nSubState=reload\\n"' });
  expect(await tried({ kind: 'systemd', unit: 'x.service' })).toEqual({
    ok: true,
    note: 'systemd reloading (reload)',
  });
  await programsOnPath({ systemctl: 'printf "ActiveState=failed\\nSubState=failed\\n"' });
  expect(await tried({ kind: 'systemd', unit: 'x.socket' })).toEqual({
    ok: false,
    note: 'systemd failed (failed)',
  });
  await programsOnPath({ systemctl: 'echo System has not been booted with systemd; exit 1' });
  expect(await tried({ kind: 'systemd', unit: 'x.socket' })).toEqual({
    ok: false,
    note: 'systemd does not answer',
  });
});

test('only an abort is thrown, with its reason', async () => {
  const check = await served(() => {});
  const controller = new AbortController();
  const trying = probe.probe({ ...patience, ...check }, expected, controller.signal);
  controller.abort(new Error('stopping'));
  await expect(trying).rejects.toThrow('stopping');
  await expect(probe.probe({ ...patience, ...check }, expected, controller.signal)).rejects.toThrow(
    'stopping',
  );
});
