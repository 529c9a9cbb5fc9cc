import { describe, expect, test } from 'vitest';
import { apiRoutes } from '../../../../../publisher/console/http/routes.ts';
import type { People } from '../../../../../publisher/console/ports.ts';
import { fakeConsole, startedEvent } from '../../../../support/console/fake-services.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const run = (argv: string[], id = 'abcdefgh') => ({ target: '/api/run', json: { argv, run: id } });
const DEPLOY = ['deploy', 'payments', '1.4.2', '--env=dev'];

describe('an address', () => {
  test.each([
    '/',
    '/h',
    '/h?env=prd&since=7d',
    '/s/payments',
    '/s/card_payments-2',
    `/d/prd/card_payments/${ID}`,
    '/s/payments?act=deploy&version=1.4.2',
    `/d/prd/payments/${ID}`,
    `/d/${ID}`,
  ])('%s is the shell', async (target) => {
    const answer = await fakeConsole().ask({ target });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
  });

  test.each([
    '/index.html',
    '//',
    '//evil.test/',
    '/s/',
    '/s/a/b',
    '/s/%2e%2e',
    '/s/..',
    '/../etc/passwd',
    '/%2e%2e/api/config',
    '/api',
    '/api/',
    '/api/config/',
    '/API/config',
    '/api//config',
    '/api/%63onfig',
    '/api/__proto__',
    '/constructor',
    '/__proto__',
    '/page-0.js/',
    '/\\evil.test',
  ])('%s is not there', async (target) => {
    expect(await fakeConsole().ask({ target })).toMatchObject({ status: 404 });
  });

  test.each(['http://127.0.0.1:7117/', 'http://evil.test/api/config', '*', '127.0.0.1:7117', ''])(
    '%j is no path',
    async (target) => {
      expect(await fakeConsole().ask({ target })).toMatchObject({ status: 400 });
    },
  );
});

describe('a method', () => {
  test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND'])(
    '%s is refused',
    async (method) => {
      for (const target of ['/', '/api/config', '/api/run', '/nothing']) {
        expect(await fakeConsole().ask({ method, target })).toMatchObject({ status: 405 });
      }
    },
  );

  test('that the address does not take is refused, and the answer names the others', async () => {
    const { ask } = fakeConsole();
    const post = { 'sec-fetch-site': 'same-origin', 'x-trigger-deploy': '1' };
    expect(await ask({ method: 'POST', target: '/' })).toMatchObject({ status: 405 });
    expect(await ask({ method: 'POST', target: '/api/config', headers: post })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
    expect(await ask({ method: 'GET', target: '/api/run' })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
  });
});

test('every address answers another host with 421, before anything else', async () => {
  const { ask, services } = fakeConsole();
  const targets = ['/', '/nothing', '/page-0.js', ...apiRoutes(services).keys()];
  for (const target of targets) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      expect(await ask({ method, target, headers: { host: 'evil.test' } })).toMatchObject({ status: 421 });
    }
  }
  expect(await ask({ headersDistinct: { host: ['127.0.0.1', 'evil.test'] } })).toMatchObject({ status: 421 });
});

describe('nobody', () => {
  const people: People = {
    mode: 'loopback',
    personOf: async () => ({ refusal: { status: 401, error: { code: 'NO_SESSION', message: 'no' } } }),
    grantsOf: () => [],
    mayRun: () => undefined,
  };

  test('gets nothing from the API but a session', async () => {
    const { ask, services } = fakeConsole({ people });
    for (const [target, { method }] of apiRoutes(services)) {
      const answer = await ask({
        target,
        ...(method === 'POST' && { json: { argv: DEPLOY, run: 'abcdefgh' } }),
      });
      expect([target, answer.status]).toEqual([target, 401]);
    }
  });

  test('gets the shell, which holds no data', async () => {
    expect(await fakeConsole({ people }).ask({ target: '/s/payments' })).toMatchObject({ status: 200 });
  });
});

describe('who may not look', () => {
  const people: People = {
    mode: 'proxy',
    personOf: async () => ({ person: { name: 'eve', via: 'x', groups: [], isMachine: false } }),
    grantsOf: () => [{ env: ['dev'], may: ['look'] }],
    mayRun: () => ({ status: 403, error: { code: 'NOT_ALLOWED', message: 'no' } }),
  };

  test.each([
    `/api/live?about=deployment&env=prd&service=payments&deployment=${ID}`,
    '/api/history?env=prd',
    `/api/report?env=prd&service=payments&deployment=${ID}&instance=i-0a1b2c3d`,
  ])('is refused at %s', async (target) => {
    expect(await fakeConsole({ people }).ask({ target })).toMatchObject({ status: 403 });
  });

  test('may neither run anything nor ask the fleet there', async () => {
    const { ask } = fakeConsole({ people });
    expect(await ask(run(DEPLOY))).toMatchObject({ status: 403 });
    expect(await ask({ target: '/api/roll-call', json: { env: 'prd' } })).toMatchObject({ status: 403 });
  });
});

describe('a question', () => {
  test.each([
    '/api/live',
    '/api/live?about=everything',
    '/api/live?about=service',
    '/api/live?about=service&service=../x',
    '/api/live?about=overview&about=service',
    '/api/live?about=overview&__proto__=1',
    '/api/history?limit=0',
    '/api/history?since=-1d',
    '/api/history?env=PRD',
    '/api/standing',
    '/api/standing?at=NaN',
    '/api/find?deployment=x',
  ])('%s is refused', async (target) => {
    expect(await fakeConsole().ask({ target })).toMatchObject({ status: 400 });
  });
});

describe('a command line', () => {
  const play = async (_: unknown, order: { emit(event: ReturnType<typeof startedEvent>): void }) => {
    order.emit(startedEvent(ID));
    return { kind: 'driven', exitCode: 0 } as const;
  };

  test('is carried out, and the log says by whom and what', async () => {
    const { ask, audited } = fakeConsole({ play });
    const answer = await ask(run(DEPLOY));
    expect(answer).toMatchObject({ status: 200, json: { run: { deployment: ID, argv: DEPLOY, by: 'ann' } } });
    expect(audited).toMatchObject([
      { person: { name: 'ann' }, path: '/api/run', argv: DEPLOY, deployment: ID, status: 200 },
    ]);
  });

  test('that is refused is in the log, too', async () => {
    const { ask, audited } = fakeConsole({ play });
    await ask(run(['push', 'payments', '1.4.2', '--env=dev']));
    expect(audited).toMatchObject([{ status: 400, code: 'USAGE' }]);
  });

  test.each([
    ['for the terminal only', ['push', 'payments', '1.4.2', '--env=dev']],
    ['without an environment', ['deploy', 'payments', '1.4.2']],
    ['of an environment that this console does not have', ['deploy', 'payments', '1.4.2', '--env=stg']],
    ['that is wrong', ['wrong', '--env=dev']],
  ])('%s is refused', async (_, argv) => {
    const { ask, services } = fakeConsole({ play });
    expect(await ask(run(argv))).toMatchObject({ status: 400 });
    expect(services.runs.views()).toEqual([]);
  });

  test.each([
    [{}],
    [{ argv: [], run: 'abcdefgh' }],
    [{ argv: DEPLOY }],
    [{ argv: DEPLOY, run: 'short' }],
    [{ argv: DEPLOY, run: 'abcdefg/' }],
    [{ argv: DEPLOY, run: 'abcdefgh', more: 1 }],
    [{ argv: 'payments', run: 'abcdefgh' }],
    [{ argv: [1], run: 'abcdefgh' }],
    [{ argv: ['x'.repeat(5000)], run: 'abcdefgh' }],
    [Array(101).fill('x')],
    ['null'],
    ['{"argv":["deploy"],"run":"abcdefgh","__proto__":{"x":1}}'],
    ['{'],
    ['['.repeat(100)],
    ['\u0000'],
  ])('in the body %j is refused', async (json) => {
    expect(await fakeConsole({ play }).ask({ target: '/api/run', json })).toMatchObject({ status: 400 });
  });

  test.each([
    [['look', 'deploy', 'confirm'], true],
    [['look', 'deploy'], false],
  ] as const)(
    'of who may %j: an agreement to an empty fleet is a confirmation, given: %s',
    async (may, given) => {
      const confirmed: boolean[] = [];
      const fake = fakeConsole({
        people: {
          mode: 'proxy',
          personOf: async () => ({ person: { name: 'eve', via: 'x', groups: [], isMachine: false } }),
          grantsOf: () => [{ env: ['dev'], may }],
          mayRun: () => undefined,
        },
        async play(_, { confirmsEmpty }) {
          confirmed.push(confirmsEmpty);
          return { kind: 'driven', exitCode: 0 };
        },
      });
      await fake.ask({ target: '/api/run', json: { argv: DEPLOY, run: 'abcdefgh', confirmsEmpty: true } });
      expect(confirmed).toEqual([given]);
    },
  );

  test('in a body that is too long is refused', async () => {
    const body = async () => undefined;
    expect(await fakeConsole({ play }).ask({ ...run(DEPLOY), body })).toMatchObject({ status: 413 });
  });
});

describe('a console that cannot sign', () => {
  const READS = ['history', '--env=prd'];

  test('refuses what signs, and carries out what reads', async () => {
    const play = async () => ({ kind: 'answer', things: [], lines: ['read'], exitCode: 0 }) as const;
    const readOnly = fakeConsole({ play, readOnly: true });
    expect(await readOnly.ask(run(DEPLOY))).toMatchObject({
      status: 403,
      json: { error: { code: 'NO_KEY' } },
    });
    expect(await readOnly.ask(run(READS))).toMatchObject({ status: 200, json: { lines: ['read'] } });
    const withoutKey = fakeConsole({ play, keys: [] });
    expect(await withoutKey.ask(run(DEPLOY))).toMatchObject({
      status: 403,
      json: { error: { code: 'NO_KEY' } },
    });
  });

  test('does not ask the fleet: a roll call is signed', async () => {
    const ask = { target: '/api/roll-call', json: { env: 'dev' } };
    expect(await fakeConsole().ask(ask)).toMatchObject({ status: 200 });
    expect(await fakeConsole({ readOnly: true }).ask(ask)).toMatchObject({ status: 403 });
    expect(await fakeConsole({ keys: [] }).ask(ask)).toMatchObject({ status: 403 });
    const plan = run(['plan', 'payments', '1.4.2', '--env=dev']);
    expect(await fakeConsole().ask(plan)).toMatchObject({ status: 200 });
    expect(await fakeConsole({ readOnly: true }).ask(plan)).toMatchObject({ status: 403 });
    expect(await fakeConsole({ keys: [] }).ask(plan)).toMatchObject({ status: 403 });
  });
});
