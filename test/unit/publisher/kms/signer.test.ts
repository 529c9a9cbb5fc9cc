import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { keygenKms } from '../../../../publisher/commands/keygen.ts';
import { openKmsSigner } from '../../../../publisher/kms/signer.ts';
import { openSession } from '../../../../publisher/session.ts';
import { policyOf } from '../../../../publisher/setup/policies.ts';
import { createAws } from '../../../../shared/aws.ts';
import { loadPublicKey, verifierOf } from '../../../../shared/signing.ts';
import { type FakeKms, type KmsCall, startFakeKms } from '../../../support/cloud/fake-kms.ts';
import { evaluate } from '../../../support/iam/evaluate.ts';
import { never } from '../../../support/publisher/stage.ts';

const ALIAS = 'alias/trigger-deploy-dev';
const REGION = 'eu-west-1';
const anything = z.looseObject({});

let kms: FakeKms;
let keyId: string;
let aws: ReturnType<typeof createAws>;
const before = { ...process.env };
beforeAll(async () => {
  kms = await startFakeKms();
  const credentials = { AWS_ACCESS_KEY_ID: 'AKIAPUBLISHER', AWS_SECRET_ACCESS_KEY: 's' };
  Object.assign(process.env, kms.env, credentials);
  aws = createAws({ region: REGION });
});
afterAll(async () => {
  process.env = before;
  aws.close();
  await kms.stop();
});
beforeEach(() => {
  keyId = kms.createKey();
  kms.setAlias(ALIAS, keyId);
  kms.calls.length = 0;
});
afterEach(() => {
  for (const operation of ['Sign', 'GetPublicKey']) kms.fail(operation, { status: 400, code: 'none' }, 0);
});

const open = (key = ALIAS, signal = never()) =>
  openKmsSigner({ aws, env: 'dev', region: REGION, key, signal });

describe('a signer with a key of KMS', () => {
  it('signs documents that verify offline, with one call each', async () => {
    const signer = await open();
    const documents = Array.from({ length: 20 }, (_, n) => ({ v: 1, n, text: 'ü'.repeat(n) }));
    const texts = [];
    for (const document of documents) texts.push(await signer.sign('td-desired+jws', document));
    const verifier = verifierOf([signer.publicKey]);
    const calls = kms.calls.length;
    for (const [i, text] of texts.entries()) {
      expect(await verifier.verify('td-desired+jws', text, anything)).toEqual(documents[i]);
    }
    expect(kms.calls.length).toBe(calls);
    expect(kms.calls.map(({ operation }) => operation)).toEqual(['GetPublicKey', ...texts.map(() => 'Sign')]);
    const sign = { operation: 'Sign', algorithm: 'ECDSA_SHA_256', messageType: 'DIGEST' };
    expect(kms.calls[1]).toMatchObject({ ...sign, keyId: kms.arnOf(keyId), accessKey: 'AKIAPUBLISHER' });
  });

  it('asks for nothing that the policy of the publisher does not allow, and the policy allows no other signature', async () => {
    const signer = await open();
    await signer.sign('td-pause+jws', { v: 1 });
    const place = { env: 'dev', bucket: 'b', partition: 'aws', region: REGION, account: '000000000000' };
    const policy = policyOf('publisher', { ...place, features: { signingKeys: [kms.arnOf(keyId)] } });
    const isAllowed = (action: string, context: Record<string, string>, resource = kms.arnOf(keyId)) =>
      evaluate({ action, resource, context }, { identity: [policy] }).isAllowed;
    const contextOf = ({ algorithm, messageType }: KmsCall): Record<string, string> =>
      algorithm && messageType ? { 'kms:SigningAlgorithm': algorithm, 'kms:MessageType': messageType } : {};
    for (const call of kms.calls) {
      expect(isAllowed(`kms:${call.operation}`, contextOf(call)), call.operation).toBe(true);
    }
    const sign = { 'kms:SigningAlgorithm': 'ECDSA_SHA_256', 'kms:MessageType': 'DIGEST' };
    expect(isAllowed('kms:Sign', { ...sign, 'kms:MessageType': 'RAW' })).toBe(false);
    expect(isAllowed('kms:Sign', {})).toBe(false);
    expect(isAllowed('kms:Sign', sign, kms.arnOf(kms.createKey()))).toBe(false);
    expect(isAllowed('kms:Decrypt', {})).toBe(false);
  });

  it('has the thumbprint of the public key as its kid, whatever names the key', async () => {
    const signers = await Promise.all([ALIAS, keyId, kms.arnOf(keyId)].map((key) => open(key)));
    expect(new Set(signers.map(({ kid }) => kid)).size).toBe(1);
    expect(signers[0]?.publicJwk).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    expect(signers[0]?.publicJwk).not.toHaveProperty('d');
  });

  it('keeps its key when the alias is retargeted while it runs', async () => {
    const signer = await open();
    kms.setAlias(ALIAS, kms.createKey());
    const text = await signer.sign('td-pause+jws', { v: 1 });
    expect(await verifierOf([signer.publicKey]).verify('td-pause+jws', text, anything)).toEqual({ v: 1 });
    expect((await open()).kid).not.toBe(signer.kid);
  });

  it('gives out no signature that its public key does not verify', async () => {
    const signer = await open();
    kms.swapPrivateKey(keyId);
    await expect(signer.sign('td-pause+jws', { v: 1 })).rejects.toMatchObject({ code: 'KEY_INVALID' });
  });

  it.each([
    ['RSA_2048', undefined, 'RSA_2048'],
    ['ECC_NIST_P384', undefined, 'ECC_NIST_P384'],
    ['ECC_SECG_P256K1', undefined, 'ECC_SECG_P256K1'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT', 'KEY_AGREEMENT'],
    ['SYMMETRIC_DEFAULT', undefined, 'cannot sign'],
  ] as const)('refuses a key of %s %s by name', async (spec, usage, named) => {
    const id = kms.createKey(spec, usage);
    await expect(open(id)).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining(named),
      hint: expect.stringContaining('ECC_NIST_P256'),
    });
  });

  it.each([
    ['NotFoundException', 'KEY_INVALID', /there is no KMS key alias.* in eu-west-1/],
    ['DisabledException', 'KEY_INVALID', /disabled/],
    ['KMSInvalidStateException', 'KEY_INVALID', /pending deletion/],
    ['InvalidKeyUsageException', 'KEY_INVALID', /cannot sign with ECDSA_SHA_256/],
    ['InvalidArnException', 'KEY_INVALID', /as the name of a key/],
    ['AccessDeniedException', 'AWS_DENIED', /may not use/],
    ['ThrottlingException', 'AWS_UNREACHABLE', /throttles/],
    ['KeyUnavailableException', 'AWS_UNREACHABLE', /at the moment/],
    ['ValidationException', 'AWS_REFUSED', /ValidationException/],
  ])('says what %s means', async (name, code, message) => {
    const once = { ...aws, settings: { ...aws.settings, maxAttempts: 1 } };
    const about = { env: 'dev', region: REGION, key: ALIAS, signal: never() };
    const signer = await openKmsSigner({ aws: once, ...about });
    const status = name === 'KeyUnavailableException' ? 500 : 400;
    kms.fail('Sign', { status, code: name });
    const failed = { code, message: expect.stringMatching(message), hint: expect.any(String) };
    await expect(signer.sign('td-pause+jws', { v: 1 })).rejects.toMatchObject(failed);
  });

  it('repeats a call that was throttled', async () => {
    const signer = await open();
    kms.fail('Sign', { status: 400, code: 'ThrottlingException' }, 2);
    await expect(signer.sign('td-pause+jws', { v: 1 })).resolves.toContain('.');
  });

  it('names a state that the key got in between', async () => {
    const signer = await open();
    kms.setState(keyId, 'Disabled');
    await expect(signer.sign('td-pause+jws', {})).rejects.toMatchObject({ message: /disabled/ });
    kms.setState(keyId, 'PendingDeletion');
    await expect(open()).rejects.toMatchObject({ hint: /cancel-key-deletion/ });
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const signer = await open(ALIAS, stop.signal);
    stop.abort(new Error('enough'));
    await expect(signer.sign('td-pause+jws', {})).rejects.toThrow('enough');
  });
});

describe('a session with a key of KMS', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kms-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  async function session(...trusted: { publicJwk: object }[]) {
    const trust = trusted.map((_, i) => join(dir, `${i}.pub.json`));
    await Promise.all(
      trusted.map(({ publicJwk }, i) => writeFile(trust[i] ?? '', JSON.stringify(publicJwk))),
    );
    const env = {
      ...{ name: 'dev', region: REGION, topic: 'arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev' },
      ...{ bucket: 'b-dev', pathStyle: true, signingKey: `kms:${ALIAS}`, trust, services: {} },
    };
    return await openSession(env, { signal: never(), emit: () => undefined, environment: {} });
  }

  it('writes the public key for the instances; again only if the file holds another key', async () => {
    const opened = await session();
    const made = await keygenKms(opened, { out: dir, name: 'prd', kms: `kms:${ALIAS}` });
    expect(made).toEqual({
      ...{ kid: (await open()).kid, kmsKey: kms.arnOf(keyId) },
      publicFile: join(dir, 'prd.pub.json'),
    });
    expect(await loadPublicKey(made.publicFile)).toMatchObject({ kid: made.kid, alg: 'ES256' });
    expect(await keygenKms(opened, { out: dir, name: 'prd', kms: keyId })).toEqual(made);
    const other = { out: dir, name: 'prd', kms: kms.createKey() };
    await expect(keygenKms(opened, other)).rejects.toMatchObject({ code: 'USAGE' });
    expect((await loadPublicKey(made.publicFile)).kid).toBe(made.kid);
    for (const wrong of ['trigger-deploy', 'alias/', '../key', 'arn:aws:s3:::b']) {
      const asked = keygenKms(opened, { out: dir, name: 'x', kms: wrong });
      await expect(asked, wrong).rejects.toMatchObject({ code: 'USAGE' });
    }
  });

  it('asks KMS for nothing while `trust` has the public key of what it reads', async () => {
    const signer = await open();
    const text = await signer.sign('td-pause+jws', { v: 1 });
    const calls = kms.calls.length;
    const verifier = await (await session(signer)).verifier();
    expect(await verifier.verify('td-pause+jws', text, anything)).toEqual({ v: 1 });
    await expect(verifier.verify('td-pause+jws', 'nothing', anything)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
    expect(kms.calls.length).toBe(calls);
    expect(verifier.kids).toEqual([(await loadPublicKey(join(dir, '0.pub.json'))).kid]);
  });

  it('reads the public key once for documents that `trust` does not know', async () => {
    const former = await open(kms.createKey());
    const signer = await open();
    const texts = [
      await former.sign('td-pause+jws', { by: 'former' }),
      await signer.sign('td-pause+jws', { v: 1 }),
    ];
    const calls = kms.calls.length;
    const opened = await session(former);
    const verifier = await opened.verifier();
    for (const text of [...texts, ...texts]) await verifier.verify('td-pause+jws', text, anything);
    expect(kms.calls.slice(calls).map(({ operation }) => operation)).toEqual(['GetPublicKey']);
  });

  it('says that the alias was retargeted when it meets a document of the former key', async () => {
    const former = await open();
    const text = await former.sign('td-pause+jws', { v: 1 });
    kms.setAlias(ALIAS, kms.createKey());
    const now = await open();
    const verifier = await (await session()).verifier();
    await expect(verifier.verify('td-pause+jws', text, anything)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: `signed by an unknown key (kid ${former.kid}); kms:${ALIAS} is the key with the kid ${now.kid}`,
      hint: expect.stringMatching(/retargeted.*`trust`/),
    });
  });

  it('without permission for KMS, calls a document of an unknown key unverified, and says why', async () => {
    const signer = await open();
    const text = await signer.sign('td-pause+jws', { v: 1 });
    const other = await open(kms.createKey());
    kms.fail('GetPublicKey', { status: 400, code: 'AccessDeniedException' });
    const verifier = await (await session(other)).verifier();
    await expect(verifier.verify('td-pause+jws', text, anything)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: expect.stringContaining('may not use the KMS key'),
    });
    await expect((await session()).verifier()).rejects.toMatchObject({ code: 'AWS_DENIED' });
  });
});
