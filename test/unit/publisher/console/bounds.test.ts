import { expect, test, vi } from 'vitest';
import { createConsoleServer } from '../../../../publisher/console/http/server.ts';
import { openHistoryLooks } from '../../../../publisher/console/looks/look-history.ts';
import type { Environments } from '../../../../publisher/console/ports.ts';
import { fakeConsole } from '../../../support/console/fake-services.ts';

/** How much one person, one question and one connection may take of a console; and what its log says. */

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const run = (argv: string[], id = 'abcdefgh') => ({ target: '/api/run', json: { argv, run: id } });
const DEPLOY = ['deploy', 'payments', '1.4.2', '--env=dev'];

test('a version is not promoted from an environment that the console was not started for', async () => {
  const promote = (from: string) => run(['promote', `--from=${from}`, '--to=dev'], `from-${from}-1`);
  expect(await fakeConsole().ask(promote('prd'))).toMatchObject({ status: 200 });
  expect(await fakeConsole().ask(promote('stg'))).toMatchObject({ status: 400 });
});

test('who asks the fleet is in the log, refused or not', async () => {
  const { ask, audited } = fakeConsole();
  for (const env of ['dev', 'prd', 'stg']) await ask({ target: '/api/roll-call', json: { env } });
  expect(audited.map(({ person, env, status, code }) => [person?.name, env, status, code])).toEqual([
    ['ann', 'dev', 200, undefined],
    ['ann', 'prd', 403, 'NO_KEY'],
    ['ann', 'stg', 400, 'USAGE'],
  ]);
});

test('a question that S3 does not answer ends, and is counted until its work has ended', async () => {
  const find = Promise.withResolvers<{ env: string; service: string }>();
  const looks = { ...fakeConsole().services.looks, find: () => find.promise };
  const { ask } = fakeConsole({ looks });
  const patience = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('late')));
  const question = { target: `/api/find?deployment=${ID}` };
  for (let i = 0; i < 20; i += 1) {
    expect(await ask(question)).toMatchObject({ status: 503, json: { error: { code: 'TOO_SLOW' } } });
  }
  expect(await ask(question)).toMatchObject({ status: 429 });
  patience.mockRestore();
  find.resolve({ env: 'dev', service: 'payments' });
  await find.promise;
  expect(await ask(question)).toMatchObject({ status: 200 });
});

test('an environment that does not answer is named, and keeps no other from being shown', async () => {
  const environments = { names: async () => ['dev', 'prd'], look: () => new Promise(() => undefined) };
  const patience = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('late')));
  const looks = openHistoryLooks(environments as unknown as Environments);
  const found = await looks.history({ limit: 1 }, new AbortController().signal);
  patience.mockRestore();
  expect(found).toMatchObject({
    deployments: [],
    trouble: [
      { env: 'dev', error: { code: 'TOO_SLOW', message: 'dev gave no answer within 20 s' } },
      { env: 'prd', error: { code: 'TOO_SLOW' } },
    ],
  });
});

test('a connection on which nothing moves ends, but not one that a load balancer keeps', () => {
  const server = createConsoleServer(
    async () => ({ status: 200 }),
    () => undefined,
  );
  expect(server.timeout).toBeGreaterThan(server.keepAliveTimeout);
  expect(server.timeout).toBeLessThanOrEqual(120_000);
});

test('behind a proxy one person has fifty streams at most, and shuts nobody out', async () => {
  let name = 'ann';
  const personOf = async () => ({ person: { name, via: 'proxy', groups: [], isMachine: false } });
  const grantsOf = () => [{ may: ['look'] as const }];
  const { ask, services } = fakeConsole({
    people: { mode: 'proxy', personOf, grantsOf, mayRun: () => undefined },
  });
  for (let i = 0; i < 50; i += 1) services.streams.add('ann', () => undefined);
  const live = { target: '/api/live?about=overview' };
  expect(await ask(live)).toMatchObject({ status: 429, json: { error: { code: 'TOO_MANY' } } });
  name = 'bob';
  expect(await ask(live)).toMatchObject({ status: 200 });
});

test('one person changes something ten times a minute at most', async () => {
  const { ask, pass } = fakeConsole();
  for (let i = 0; i < 10; i += 1) expect((await ask(run(DEPLOY, `abcdefgh${i}`))).status).toBe(200);
  expect(await ask(run(DEPLOY, 'onemore12'))).toMatchObject({
    status: 429,
    headers: { 'retry-after': '60' },
  });
  for (let i = 0; i < 10; i += 1) {
    expect((await ask(run(['plan', '--env=dev'], `aplan1234${i}`))).status).toBe(200);
  }
  expect((await ask(run(['plan', '--env=dev'], 'aplan5678'))).status).toBe(429);
  expect((await ask(run(['history', '--env=dev'], 'ahistory1'))).status).toBe(200);
  pass(60_000);
  expect((await ask(run(DEPLOY, 'onemore12'))).status).toBe(200);
});
