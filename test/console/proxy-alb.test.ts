import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ALB, CLIENT, type FakeAlb, ISSUER, startAlb, type TokenChange } from '../support/console/alb.ts';
import { type Asked, ask } from '../support/console/ask.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { freePort } from '../support/ports.ts';
import type { Program } from '../support/programs.ts';
import { payloadOf, storedText } from '../support/publisher/announcements.ts';

/**
 * The real console behind a load balancer that is modelled from the documentation: who a token says that sends a request,
 * and what each person may do.
 */

let fleet: Fleet;
let alb: FakeAlb;
let port: number;
let console_: Program;

const HEADER = 'x-amzn-oidc-data';
const trust = (): Record<string, unknown> => ({ alb: ALB, issuer: ISSUER, client: CLIENT, keys: alb.keys });
const allow = [
  { who: '*@acme.com', may: ['look', 'pause'] },
  { who: 'group:release', may: ['look', 'unpause', 'confirm'] },
];

async function configure(console: unknown): Promise<void> {
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, stringify({ ...config, console }));
}
const start = async (): Promise<{ port: number; program: Program }> => {
  const port = await freePort();
  const program = fleet.startPublisher('console', '--listen', `127.0.0.1:${port}`, '--no-open');
  await program.line((line) => line.includes('https://deploys.acme.com'));
  return { port, program };
};

beforeAll(async () => {
  [fleet, alb] = await Promise.all([startFleet(), startAlb()]);
  await configure({ url: 'https://deploys.acme.com', trust: trust(), allow });
  ({ port, program: console_ } = await start());
});
afterAll(async () => {
  await fleet.stop();
  await alb.stop();
});

const withToken = (token: string | string[], more: Asked = {}): Asked => ({
  ...more,
  headers: { [HEADER]: token, ...more.headers },
});
const asked = (change?: TokenChange) => ask(port, withToken(alb.token(change)));
const run = (argv: string[], more: Asked & { change?: TokenChange } = {}) =>
  ask(
    port,
    withToken(alb.token(more.change), {
      path: '/api/run',
      body: { argv, run: crypto.randomUUID() },
      ...more,
    }),
  );

describe('behind a load balancer', () => {
  it('a token as the load balancer makes it, with padding, is the person of its claims', async () => {
    const token = alb.token();
    expect(token.split('.')[2]).toMatch(/==$/);
    const got = await ask(port, withToken(token));
    expect(got).toMatchObject({
      status: 200,
      json: { mode: 'proxy', person: { name: 'ann@acme.com', isVerified: true } },
    });
    expect(got.headers['set-cookie']).toBeUndefined();
  });

  it.each<[string, TokenChange]>([
    [
      'another load balancer, whose region has the same keys',
      { header: { signer: ALB.replace('50dc', '60dc') } },
    ],
    ['no load balancer', { header: { signer: undefined } }],
    ['another issuer', { header: { iss: 'https://evil.okta.com' } }],
    ['another client', { header: { client: 'other' } }],
    ['alg none', { header: { alg: 'none' }, signature: '' }],
    ['alg HS256', { header: { alg: 'HS256' } }],
    ['alg ES384', { header: { alg: 'ES384' } }],
    ['a DER signature', { encoding: 'der' }],
    [
      'a header that has expired, though the claims have not',
      { header: { exp: Math.floor(Date.now() / 1000) - 1 } },
    ],
    ['a header without an end', { header: { exp: undefined } }],
    ['an end that is a text', { header: { exp: '9999999999' } }],
    ['a wrong signature', { signature: `${'A'.repeat(86)}==` }],
    ['no signature', { signature: '' }],
  ])('a token with %s is nobody', async (_, change) => {
    expect(await asked(change)).toMatchObject({ status: 401, json: { error: { code: 'NOT_IDENTIFIED' } } });
  });

  it('a token without its padding is nobody: the signature covers it', async () => {
    const tokens = ['', 'x', 'xx'].map((more) => alb.token({ claims: { more } }));
    const padded = tokens.find((token) => token.split('.')[1]?.endsWith('=')) ?? '';
    expect((await ask(port, withToken(padded))).status).toBe(200);
    expect((await ask(port, withToken(padded.replaceAll('=', '')))).status).toBe(401);
  });

  it.each(['../x', '../../latest/meta-data', 'AAAA', '', `${'0'.repeat(8)}-0000-0000-0000-000000000000/..`])(
    'the key id %j asks for nothing at the endpoint of the keys',
    async (kid) => {
      const before = alb.asked.length;
      expect((await asked({ header: { kid } })).status).toBe(401);
      expect(alb.asked.length).toBe(before);
    },
  );

  it('another key than that of the key id is nobody', async () => {
    const { key } = alb.rotate();
    expect((await asked({ key })).status).toBe(401);
  });

  it('no header, two of them, two joined by a comma, and one that is no token are nobody', async () => {
    const token = alb.token();
    const strange = [[token, token], `${token},${token}`, `${token}, x`, 'x', 'a.b.c', ''];
    for (const one of strange) expect((await ask(port, withToken(one))).status).toBe(401);
    expect((await ask(port)).status).toBe(401);
    expect((await ask(port, withToken(`${token}${'A'.repeat(12_500)}`))).status).toBe(401);
    expect((await ask(port, withToken(`${token}${'A'.repeat(17_000)}`))).status).toBe(431);
  });

  it('what a load balancer also sends in plain is nobody', async () => {
    const headers = { 'x-amzn-oidc-identity': 'ann@acme.com', 'x-amzn-oidc-accesstoken': 'x' };
    expect((await ask(port, { headers })).status).toBe(401);
    expect((await ask(port, { headers: { 'x-forwarded-email': 'ann@acme.com' } })).status).toBe(401);
  });

  it('the host of console.url and loopback are answered, and no other host', async () => {
    const token = alb.token();
    for (const host of ['deploys.acme.com', 'DEPLOYS.acme.com', '127.0.0.1:1234']) {
      expect((await ask(port, withToken(token, { headers: { host } }))).status).toBe(200);
    }
    for (const host of ['evil.test', 'deploys.acme.com.evil.test', null]) {
      expect((await ask(port, withToken(token, { headers: { host } }))).status).toBe(421);
    }
  });

  it('a request that changes something comes from the page itself', async () => {
    const argv = ['pause', 'payments', '--env=dev', '--reason=x'];
    const foreign: Asked['headers'][] = [
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'none' },
      { 'sec-fetch-site': null },
      { 'sec-fetch-site': null, origin: 'https://evil.test' },
      { 'x-trigger-deploy': null },
    ];
    for (const headers of foreign) {
      const body = { argv, run: crypto.randomUUID() };
      const got = await ask(port, { path: '/api/run', body, headers: { [HEADER]: alb.token(), ...headers } });
      expect(got.status).toBe(403);
    }
    expect(fleet.cloud.objects('acme-deploys-dev', 'state/dev/payments/')).toEqual([]);
  });

  it('the record has the verified person, the console and the command line; the log has a line', async () => {
    const argv = ['pause', '--env=dev', '--reason=quarter end'];
    expect(await run(argv)).toMatchObject({ status: 200 });
    const [key = ''] = fleet.cloud
      .objects('acme-deploys-dev', 'state/dev/')
      .map((one) => (typeof one === 'string' ? one : String((one as { key?: string }).key)))
      .filter((name) => name.includes('pause'));
    const { changes } = payloadOf(storedText(fleet, key)) as { changes: object[] };
    expect(changes.at(-1)).toMatchObject({
      ...{ by: 'ann@acme.com', via: 'deploys.acme.com', verified: { iss: ISSUER, sub: '00u1' } },
      ...{ reason: 'quarter end', paused: true },
    });
    const audited = console_
      .stderr()
      .split('\n')
      .find((line) => line.includes('"audit"') && line.includes('quarter end'));
    expect(JSON.parse(audited ?? '')).toMatchObject({
      ...{ type: 'audit', person: 'ann@acme.com', argv },
    });
    expect(console_.stderr()).not.toContain('eyJ');
  });

  it('the rules of console.allow hold: what no rule gives, a program and a token without a name may not do', async () => {
    expect(await run(['payments', '1.4.2', '--env=dev'])).toMatchObject({
      status: 403,
      json: { error: { code: 'NOT_ALLOWED', message: 'ann@acme.com may not deploy payments in dev' } },
    });
    const stranger = { claims: { email: 'eve@evil.com', groups: [] } };
    expect(await run(['unpause', 'payments', '--env=dev'], { change: stranger })).toMatchObject({
      status: 403,
    });
    expect((await asked(stranger)).json).toMatchObject({ environments: [], grants: [] });
    const program = { claims: { email: undefined, groups: ['release'] } };
    expect(await run(['unpause', 'payments', '--env=dev'], { change: program })).toMatchObject({
      status: 403,
    });
    const robot = { claims: { gty: 'client-credentials' } };
    const confirm = ['confirm', '01JDB2Q0V7M3N8T5R9XKZC4W6H', '--env=dev'];
    expect((await run(confirm, { change: robot })).status).not.toBe(200);
    expect((await asked(robot)).json.grants).toEqual([
      { may: ['look', 'pause'] },
      { may: ['look', 'unpause'] },
    ]);
  });
});

describe('the keys of the load balancer', () => {
  it('a kept key needs no endpoint; a new one is asked for once, and nobody is let in when it cannot be had', async () => {
    const { port: other } = await start();
    const tell = (token: string) => ask(other, withToken(token));
    alb.fail(500);
    expect(await tell(alb.token())).toMatchObject({
      status: 503,
      json: { error: { code: 'CANNOT_VERIFY' } },
    });
    alb.fail(undefined);
    const before = alb.asked.length;
    const all = await Promise.all(Array.from({ length: 20 }, () => tell(alb.token())));
    expect(all.every(({ status }) => status === 200)).toBe(true);
    expect(alb.asked.length - before).toBe(1);
    alb.fail('silent');
    expect((await tell(alb.token())).status).toBe(200);
    const next = alb.rotate();
    expect(await tell(alb.token({ header: { kid: next.kid }, key: next.key }))).toMatchObject({
      status: 503,
    });
    alb.fail(undefined);
    expect((await tell(alb.token({ header: { kid: next.kid }, key: next.key }))).status).toBe(200);
  });

  it('100 made-up key ids are 10 requests at most, and the person with a kept key notices nothing', async () => {
    const { port: other } = await start();
    const tell = (token: string) => ask(other, withToken(token));
    expect((await tell(alb.token())).status).toBe(200);
    const before = alb.asked.length;
    const made = Array.from({ length: 100 }, () => tell(alb.token({ header: { kid: crypto.randomUUID() } })));
    const statuses = new Set((await Promise.all(made)).map(({ status }) => status));
    expect([...statuses].filter((status) => status !== 401 && status !== 503)).toEqual([]);
    expect(alb.asked.length - before).toBeLessThanOrEqual(10);
    expect((await tell(alb.token())).status).toBe(200);
  });

  it('keys that have verified no token of ours push no kept one out', async () => {
    const { port: other } = await start();
    const tell = (token: string) => ask(other, withToken(token));
    expect((await tell(alb.token())).status).toBe(200);
    for (let i = 0; i < 9; i += 1) {
      const { kid } = alb.rotate();
      expect((await tell(alb.token({ header: { kid } }))).status).toBe(401);
    }
    alb.fail('silent');
    expect((await tell(alb.token())).status).toBe(200);
    alb.fail(undefined);
  });
});

describe('a console does not start', () => {
  const refused = async (...args: string[]) => {
    const { code, stderr } = await fleet.publisher('console', '--no-open', ...args);
    return `${code} ${stderr}`;
  };

  it('on an address of a network without console.trust', async () => {
    await configure({ url: 'https://deploys.acme.com' });
    for (const place of ['0.0.0.0:0', '[::]:0', '192.0.2.1:7117']) {
      expect(await refused('--listen', place)).toMatch(/^2 .*without console\.trust/s);
    }
  });

  it('with a plain header over TCP that is not loopback, or without its secret', async () => {
    const secret = join(fleet.dir, 'secret');
    const trust = { header: 'X-User', secretHeader: 'X-Secret', secretFile: secret };
    await configure({ url: 'https://deploys.acme.com', trust });
    await writeFile(secret, `${'s'.repeat(64)}\n`);
    expect(await refused('--listen', '0.0.0.0:0')).toMatch(
      /^2 .*console\.trust\.header needs a unix socket/s,
    );
    await writeFile(secret, 'short\n');
    expect(await refused('--listen', '127.0.0.1:0')).toMatch(/^2 .*has no secret/s);
    await writeFile(join(fleet.dir, 'other'), '');
    await configure({
      url: 'https://deploys.acme.com',
      trust: { ...trust, secretFile: join(fleet.dir, 'none') },
    });
    expect(await refused('--listen', '127.0.0.1:0')).toMatch(/^2 .*cannot read/s);
  });
});
