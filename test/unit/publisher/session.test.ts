import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Environment } from '../../../publisher/config/load.ts';
import { issuedBy, openSession, originOf } from '../../../publisher/session.ts';
import { generateKeys } from '../../../shared/signing.ts';
import { never } from '../../support/publisher/stage.ts';

describe('who publishes', () => {
  const origin = { user: 'ann', host: 'desk' };
  it.each([
    [{}, 'ann@desk'],
    [{ JENKINS_URL: 'https://ci', JOB_NAME: 'payments', BUILD_NUMBER: '4711' }, 'jenkins payments#4711'],
    [{ BUILD_TAG: 'jenkins-payments-4711' }, 'jenkins jenkins-payments-4711'],
    [{ JOB_NAME: 'cron', BUILD_NUMBER: '1' }, 'ann@desk'],
    [
      {
        GITHUB_ACTIONS: 'true',
        GITHUB_REPOSITORY: 'acme/payments',
        GITHUB_RUN_ID: '9',
        GITHUB_RUN_NUMBER: '4711',
      },
      'github acme/payments#4711',
    ],
    [{ GITHUB_ACTIONS: 'true' }, 'ann@desk'],
  ])('with %j is %s', (environment, who) => {
    expect(issuedBy(environment, origin)).toBe(who);
  });

  it('and from which build', () => {
    expect(originOf({ BUILD_URL: 'https://ci/job/1' })).toMatchObject({ build: 'https://ci/job/1' });
    const run = { GITHUB_ACTIONS: 'true', GITHUB_REPOSITORY: 'acme/payments', GITHUB_RUN_ID: '9' };
    expect(originOf(run)).toMatchObject({ build: 'https://github.com/acme/payments/actions/runs/9' });
    expect(originOf({})).not.toHaveProperty('build');
  });
});

describe('keys', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'session-'));
  });
  afterEach(async () => await rm(directory, { recursive: true }));

  const open = async (change: Partial<Environment>) => {
    const env: Environment = {
      ...{ name: 'dev', region: 'eu-west-1', bucket: 'b', pathStyle: true, trust: [], services: {} },
      ...{ topic: 'arn:aws:sns:eu-west-1:000000000000:t', signingKey: undefined },
      ...change,
    };
    return await openSession(env, { signal: never(), emit: () => undefined, environment: {} });
  };

  it('without a signing key nothing is signed, and the hint names what to add to the config', async () => {
    const session = await open({});
    await expect(session.signer()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(session.verifier()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('the signing key’s own public key and those of trust are accepted', async () => {
    const own = await generateKeys();
    const other = await generateKeys();
    const signingKey = join(directory, 'ci.key.json');
    const trusted = join(directory, 'old.pub.json');
    await writeFile(signingKey, JSON.stringify(own.privateJwk));
    await writeFile(trusted, JSON.stringify(other.publicJwk));
    const session = await open({ signingKey, trust: [trusted] });
    expect((await session.verifier()).kids).toEqual([own.publicJwk.kid, other.publicJwk.kid]);
    const looking = await open({ trust: [trusted] });
    expect((await looking.verifier()).kids).toEqual([other.publicJwk.kid]);
  });

  it('the session of another environment is opened once; an unknown environment is refused', async () => {
    const session = await open({});
    await expect(session.beside('stg')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const load = async (name: string) => ({ ...session.env, name, bucket: `b-${name}` });
    const options = { signal: never(), emit: () => undefined, environment: {}, load };
    const knowing = await openSession(session.env, options);
    const [one, other] = await Promise.all([knowing.beside('stg'), knowing.beside('stg')]);
    expect(one).toBe(other);
    expect(one.env).toMatchObject({ name: 'stg', bucket: 'b-stg' });
    knowing.close();
  });

  it('a missing key is read again once it exists', async () => {
    const signingKey = join(directory, 'late.key.json');
    const session = await open({ signingKey });
    await expect(session.signer()).rejects.toMatchObject({ code: 'KEY_INVALID' });
    await writeFile(signingKey, JSON.stringify((await generateKeys()).privateJwk));
    expect((await session.signer()).kid).toBeTruthy();
  });
});
