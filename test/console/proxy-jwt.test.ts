import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type StandInServer, startStandIn } from '../support/cloud/stand-in-server.ts';
import { type Asked, ask } from '../support/console/ask.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { freePort } from '../support/ports.ts';

/** The real console behind any proxy that signs a token, and behind one on this machine that sets a header. */

let fleet: Fleet;
let idp: StandInServer;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let asked = 0;
let isDown = false;
const AUDIENCE = 'aud-1';
const ISSUER = 'https://acme.cloudflareaccess.com';
const now = () => Math.floor(Date.now() / 1000);

beforeAll(async () => {
  keys = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  [fleet, idp] = await Promise.all([
    startFleet(),
    startStandIn((_, __, response) => {
      asked += 1;
      response.writeHead(isDown ? 500 : 200).end(JSON.stringify({ keys: [jwk] }));
    }),
  ]);
});
afterAll(async () => {
  await fleet.stop();
  await idp.stop();
});

async function start(console: object, place?: string): Promise<number | string> {
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, stringify({ ...config, console: { url: 'https://deploys.acme.com', ...console } }));
  const port = place ?? (await freePort());
  const where = typeof port === 'number' ? `127.0.0.1:${port}` : port;
  const program = fleet.startPublisher('console', '--listen', where, '--no-open');
  await program.line((line) => line.includes('https://deploys.acme.com'));
  return port;
}

describe('behind a proxy that signs a token', () => {
  let port: number | string;
  beforeAll(async () => {
    port = await start({
      trust: {
        jwt: { header: 'Cf-Access-Jwt-Assertion', jwks: idp.endpoint, issuer: ISSUER, audience: AUDIENCE },
      },
      allow: [{ who: '*@acme.com', may: ['look'] }],
    });
  });
  const claims = { email: 'ann@acme.com', type: 'app' };
  const token = (
    more: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    key?: Uint8Array,
  ) =>
    new SignJWT({
      ...{ ...claims, iss: ISSUER, aud: [AUDIENCE], sub: 'u1', exp: now() + 60, iat: now() },
      ...more,
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header })
      .sign(key ?? keys.privateKey);
  const tell = (value: string | string[], more: Asked = {}) =>
    ask(port, { ...more, headers: { 'cf-access-jwt-assertion': value } });

  it('its token is the person of its claims, also with Bearer before it', async () => {
    expect(await tell(await token())).toMatchObject({
      status: 200,
      json: { person: { name: 'ann@acme.com', isVerified: true }, grants: [{ may: ['look'] }] },
    });
    expect((await tell(`Bearer ${await token()}`)).status).toBe(200);
  });

  it('another issuer, audience, time or algorithm is nobody', async () => {
    const wrong = [
      await token({ iss: 'https://evil.cloudflareaccess.com' }),
      await token({ aud: ['aud-2'] }),
      await token({ aud: undefined }),
      await token({ exp: now() - 60 }),
      await token({ exp: undefined }),
      await token({ nbf: now() + 120 }),
      new UnsecuredJWT({ ...claims, iss: ISSUER, aud: AUDIENCE, exp: now() + 60 }).encode(),
      // The public key as the secret: whoever has it could write the token.
      await token({}, { alg: 'HS256' }, Buffer.from(JSON.stringify(await exportJWK(keys.publicKey)))),
      `${await token()}x`,
      'x',
    ];
    for (const one of wrong) {
      expect(await tell(one)).toMatchObject({ status: 401, json: { error: { code: 'NOT_IDENTIFIED' } } });
    }
    const good = await token();
    expect((await tell([good, good])).status).toBe(401);
    expect((await tell(`${good},${good}`)).status).toBe(401);
  });

  it('made-up key ids are no flood, and the endpoint may be down while its keys are kept', async () => {
    const before = asked;
    const made = await Promise.all(Array.from({ length: 50 }, (_, i) => token({}, { kid: `made-up-${i}` })));
    for (const { status } of await Promise.all(made.map((one) => tell(one)))) expect(status).toBe(401);
    expect(asked - before).toBeLessThanOrEqual(1);
    isDown = true;
    expect((await tell(await token())).status).toBe(200);
    isDown = false;
  });

  it('nobody is let in while the keys cannot be read', async () => {
    isDown = true;
    const other = await start({
      trust: { jwt: { header: 'authorization', jwks: idp.endpoint, issuer: ISSUER, audience: AUDIENCE } },
    });
    const value = `Bearer ${await token()}`;
    const got = await ask(other, { headers: { authorization: value } });
    expect(got).toMatchObject({ status: 503, json: { error: { code: 'CANNOT_VERIFY' } } });
    const good = `Bearer ${await token()}`;
    expect((await ask(other, { headers: { authorization: [good, good] } })).status).toBe(401);
    isDown = false;
  });

  it('a stream ends with its token', async () => {
    // Within what clocks may differ, the token is still taken; its stream ends at once.
    const got = await tell(await token({ exp: now() - 5 }), { path: '/api/live?about=overview' });
    expect(got.status).toBe(200);
    expect(got.headers['content-type']).toBe('text/event-stream');
  });
});

describe('behind a proxy on this machine that sets a header', () => {
  const SECRET = 'f'.repeat(64);
  const trust = () => ({
    ...{ header: 'X-Forwarded-Email', groupsHeader: 'X-Forwarded-Groups' },
    ...{ secretHeader: 'X-Console-Secret', secretFile: join(fleet.dir, 'secret') },
  });
  const allow = [{ who: 'group:release', may: ['look'] }];
  const good = {
    ...{ 'x-forwarded-email': 'ann@acme.com', 'x-forwarded-groups': 'dev, release' },
    'x-console-secret': SECRET,
  };

  it.each(['on loopback', 'on a unix socket'])(
    '%s the header with the secret is the person',
    async (where) => {
      await writeFile(join(fleet.dir, 'secret'), `${SECRET}\n`);
      const place = where === 'on loopback' ? undefined : join(fleet.dir, 'console.sock');
      const at = await start({ trust: trust(), allow }, place);
      expect(await ask(at, { headers: good })).toMatchObject({
        status: 200,
        json: { person: { name: 'ann@acme.com', isVerified: false }, grants: [{ may: ['look'] }] },
      });
      const wrong: Asked['headers'][] = [
        { ...good, 'x-console-secret': 'g'.repeat(64) },
        { ...good, 'x-console-secret': null },
        { ...good, 'x-console-secret': [SECRET, SECRET] },
        { ...good, 'x-forwarded-email': null },
        { ...good, 'x-forwarded-email': ['eve@acme.com', 'ann@acme.com'] },
        { ...good, 'x-forwarded-email': 'eve@acme.com, ann@acme.com' },
        { ...good, 'x-forwarded-groups': ['release', 'dev'] },
      ];
      for (const headers of wrong) expect((await ask(at, { headers })).status).toBe(401);
    },
  );
});
