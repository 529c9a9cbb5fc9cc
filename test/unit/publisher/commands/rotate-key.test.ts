import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { pause } from '../../../../publisher/commands/pause.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { isRotated, type RotateOptions, rotateKey } from '../../../../publisher/commands/rotate-key.ts';
import { openRecord } from '../../../../publisher/record/record.ts';
import { rotationLines } from '../../../../publisher/render/rotation.ts';
import { keys } from '../../../../shared/names.ts';
import { generateKeys } from '../../../../shared/signing.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
let dir: string;
let agent: FakeAgent;
let former: KeyFiles;
let next: KeyFiles;

interface KeyFiles {
  kid: string;
  private: string;
  public: string;
}

async function newKey(name: string): Promise<KeyFiles> {
  const { privateJwk, publicJwk } = await generateKeys();
  const files = { private: join(dir, `${name}.key.json`), public: join(dir, `${name}.pub.json`) };
  await writeFile(files.private, JSON.stringify(privateJwk));
  await writeFile(files.public, JSON.stringify(publicJwk));
  return { kid: publicJwk.kid ?? '', ...files };
}

/** The config of the publisher from now on. */
const publishWith = (own: KeyFiles, ...trusted: KeyFiles[]) =>
  Object.assign(stage.env, { signingKey: own.private, trust: trusted.map((one) => one.public) });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rotate-'));
  [former, next] = [await newKey('former'), await newKey('next')];
  stage = await openStage();
  publishWith(former, next);
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
  agent = await stage.agent('i-1', undefined, '1.0.0');
  agent.trusts = [former.kid, next.kid];
  for (const version of ['1.0.0', '1.1.0']) await deployed({ version });
});
afterEach(async () => {
  await stage.close();
  await rm(dir, { recursive: true });
});

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.0.0', wait: true, timeoutMs: 20_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
});
const deployed = async (change?: Partial<DeployOptions>) => await deploy(await stage.open(), options(change));
const rotated = async (change: Partial<RotateOptions> = {}) =>
  await rotateKey(await stage.open(), { check: false, allowMissing: 0, ...change });
/** A run that ends at the signature after `many`. */
async function killedAfter(many: number) {
  const session = await stage.open();
  const own = await session.signer();
  let left = many;
  const sign: typeof own.sign = async (typ, payload) => {
    left -= 1;
    if (left < 0) throw new Error('killed');
    return await own.sign(typ, payload);
  };
  const warn = () => undefined;
  const record = openRecord({ ...session, warn, signer: async () => ({ ...own, sign }) });
  return await rotateKey({ ...session, record }, { check: false, allowMissing: 0 });
}
const text = (key: string) => stage.cloud.object(stage.bucket, key)?.body.toString();
const signed = () => stage.cloud.objects(stage.bucket, '').filter((key) => key.endsWith('.jws'));
const kidIn = (key: string): unknown =>
  JSON.parse(Buffer.from(text(key)?.split('.')[0] ?? '', 'base64url').toString()).kid;
const payloadIn = (key: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(text(key)?.split('.')[1] ?? '', 'base64url').toString());
const DESIRED = keys.desired('dev', 'payments');

describe('a rotation of the signing key', () => {
  it('signs again all that is in force: afterwards the former key can be removed everywhere', async () => {
    await pause(await stage.open(), { service: 'payments', reason: 'release freeze' });
    await pause(await stage.open(), { reason: 'quarter end' });
    const before = Object.fromEntries(signed().map((key) => [key, payloadIn(key)]));
    publishWith(next, former);
    const answer = await rotated();
    expect(answer).toMatchObject({ ready: true, signed: signed().length, current: 0, troubles: [] });
    expect(isRotated(answer)).toBe(true);
    for (const key of signed()) {
      expect(kidIn(key), key).toBe(next.kid);
      const { nonce: fresh, ...rest } = payloadIn(key);
      const { nonce: old, ...same } = before[key] ?? {};
      expect(rest, key).toEqual(same);
      expect(fresh, key).not.toBe(old);
    }
    publishWith(next);
    expect(await rotated({ check: true })).toMatchObject({ left: [], troubles: [], signed: 0 });
    expect(rotationLines(await rotated({ check: true })).at(-1)).toContain('remove the former one');
    const session = await stage.open();
    expect(await session.record.pauses.of('payments')).toMatchObject({ reason: 'quarter end' });
    expect((await session.record.deployments.list('payments', 9)).map(({ status }) => status)).toEqual([
      'succeeded',
      'succeeded',
    ]);
    expect((await session.record.versions.resolve('payments', 'latest')).version).toBe('1.1.0');
  });

  it('can be killed before any of its writes, and repeated', async () => {
    publishWith(next, former);
    const all = signed().length;
    for (let left = 0; left < all; left += 1) {
      await expect(killedAfter(left === 0 ? 0 : 1)).rejects.toThrow('killed');
      // Whatever was reached: everything verifies, and a publisher with both keys goes on.
      const session = await stage.open();
      expect((await session.record.desired.read('payments'))?.value.version).toBe('1.1.0');
      expect(await session.record.deployments.unverified('payments')).toEqual([]);
    }
    expect(await rotated()).toMatchObject({ left: [], troubles: [] });
    expect(new Set(signed().map(kidIn))).toEqual(new Set([next.kid]));
  });

  it('goes on around deployments and a rollback, whichever key signed the manifest', async () => {
    publishWith(next, former);
    expect(await rollback(await stage.open(), options())).toBe(0);
    expect([kidIn(DESIRED), kidIn(keys.manifest('payments', '1.0.0'))]).toEqual([next.kid, former.kid]);
    await rotated();
    expect(await deployed({ version: '1.1.0' })).toBe(0);
    publishWith(next);
    expect(await rollback(await stage.open(), options())).toBe(0);
  });

  it('signs nothing while an instance does not trust the key, or does not say', async () => {
    publishWith(next, former);
    for (const trusts of [[former.kid], undefined]) {
      agent.trusts = trusts;
      const answer = await rotated();
      expect(answer).toMatchObject({ ready: false, signed: 0 });
      expect(answer.instances).toEqual([
        { instance: 'i-1', trusts: trusts === undefined ? undefined : false, answered: true },
      ]);
      expect(isRotated(answer)).toBe(false);
      expect(rotationLines(answer).join('\n')).toMatch(
        /0 of 1 trust it[\s\S]*nothing was signed[\s\S]*trust\.keys/,
      );
      expect(new Set(signed().map(kidIn))).toEqual(new Set([former.kid]));
    }
    expect(await rotated({ allowMissing: 1 })).toMatchObject({ ready: true, troubles: [] });
  });

  it('shows before the switch whether all instances trust the key that is to come, and changes nothing', async () => {
    const before = signed().map(text);
    const answer = await rotated({ check: true, to: next.public });
    expect(answer).toMatchObject({ kid: next.kid, ready: true, signed: 0 });
    expect(answer.left.length).toBe(signed().length);
    expect(isRotated(answer)).toBe(true);
    agent.trusts = [former.kid];
    expect(isRotated(await rotated({ check: true, to: next.public }))).toBe(false);
    expect(signed().map(text)).toEqual(before);
  });

  it('asks the fleet for what each instance trusts, and reads no lock and no queue for that', async () => {
    const from = stage.cloud.requests.length;
    await rotated({ check: true });
    const read = stage.cloud.requests.slice(from).map(({ key }) => key);
    expect(read).not.toContain(keys.lock('dev', 'payments'));
    expect(read).not.toContain(keys.queue('dev', 'payments'));
  });

  it('names a service whose deployment is under way, and signs the others', async () => {
    publishWith(next, former);
    await stage.publish('orders', '1.0.0');
    const { locks } = (await stage.open()).record;
    const request = { service: 'payments', command: 'deploy', deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H' };
    const lock = await locks.take({ ...request, signal: never() });
    const answer = await rotated();
    expect(answer.troubles).toMatchObject([{ what: expect.stringContaining('payments is locked by') }]);
    expect([kidIn(DESIRED), kidIn(keys.manifest('orders', '1.0.0'))]).toEqual([former.kid, next.kid]);
    await lock.release();
    expect(await rotated()).toMatchObject({ troubles: [] });
  });

  it('gives no signature to what nobody trusted signed, nor to what was put back', async () => {
    const old = text(DESIRED) ?? '';
    await deployed({ version: '1.0.0' });
    const stranger = await newKey('stranger');
    publishWith(stranger);
    await stage.publish('payments', '6.6.6');
    publishWith(next, former);
    stage.cloud.putObject(stage.bucket, DESIRED, old);
    const copied = text(keys.manifest('payments', '1.0.0')) ?? '';
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '1.0.1'), copied);
    const answer = await rotated();
    expect(answer.troubles.map(({ what }) => what).sort()).toEqual([
      expect.stringContaining('1.0.1/manifest.jws is about another version'),
      expect.stringContaining('6.6.6/manifest.jws: signed by an unknown key'),
      expect.stringContaining('the desired state of payments is 1.1.0'),
    ]);
    expect(text(DESIRED)).toBe(old);
    expect(kidIn(keys.manifest('payments', '6.6.6'))).toBe(stranger.kid);
    expect(isRotated(answer)).toBe(false);
  });

  it('gives no signature to a pause that was put back', async () => {
    const session = await stage.open();
    const PAUSE = keys.servicePause('dev', 'payments');
    await pause(session, { service: 'payments', reason: 'incident' });
    stage.cloud.deleteObject(stage.bucket, PAUSE);
    publishWith(next, former);
    expect((await rotated()).troubles).toMatchObject([{ what: expect.stringContaining('was deleted') }]);
    expect(kidIn(DESIRED)).toBe(next.kid);
  });
});

describe('a deployment', () => {
  it('that an instance would not accept is refused before anything is announced', async () => {
    publishWith(next, former);
    agent.trusts = [former.kid];
    agent.record('payments');
    const announced = () => agent.heard.filter(({ kind }) => kind === 'deploy').length;
    const before = announced();
    await expect(deployed()).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: `1 of 1 instances of payments do not trust the signing key (kid ${next.kid}): i-1`,
    });
    expect(announced()).toBe(before);
    agent.trusts = [former.kid, next.kid];
    agent.record('payments');
    expect(await deployed()).toBe(0);
  });
});
