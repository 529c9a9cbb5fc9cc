import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { generateKeys, loadPublicKey, loadSigner, verifierOf } from '../../../shared/signing.ts';
import {
  ANNOUNCEMENT,
  directory,
  ec,
  ed,
  generateParties,
  keyFile,
  other,
  outcome,
  PAYLOAD,
  party,
} from '../../support/shared/signing-fixture.ts';

generateParties();

describe('key files', () => {
  test('a new pair is Ed25519, named by the thumbprint of its public key', async () => {
    const { privateJwk, publicJwk } = await generateKeys();
    expect(publicJwk).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' });
    expect(publicJwk.kid).toBe(await calculateJwkThumbprint(publicJwk));
    expect(privateJwk.kid).toBe(publicJwk.kid);
    expect(publicJwk).not.toHaveProperty('d');
    expect(privateJwk).toMatchObject({ x: publicJwk.x, d: expect.any(String) });
  });

  test('no two pairs are the same', () => {
    expect(ed.privateJwk.d).not.toBe(other.privateJwk.d);
    expect(ed.signer.kid).not.toBe(other.signer.kid);
  });

  test('a key without a kid is named by its thumbprint, on both sides', async () => {
    const { kid: _private, ...privateJwk } = other.privateJwk;
    const { kid: _public, ...publicJwk } = other.publicJwk;
    const { signer, verifier } = await party('nameless', { privateJwk, publicJwk });
    expect(verifier.kids).toEqual([other.signer.kid]);
    expect(await outcome(verifier, await signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
  });

  test('a key keeps the kid its file gives it', async () => {
    const named = (jwk: JWK) => ({ ...jwk, kid: 'ci-2026' });
    const { signer, verifier } = await party('named', {
      privateJwk: named(other.privateJwk),
      publicJwk: named(other.publicJwk),
    });
    expect(signer.kid).toBe('ci-2026');
    expect(await outcome(verifier, await signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
  });

  test('a private key whose file says what it is for is usable', async () => {
    const privateJwk: JWK = { ...other.privateJwk, key_ops: ['sign'], ext: true };
    const { signer, verifier } = await party('purpose', { privateJwk, publicJwk: other.publicJwk });
    expect(await outcome(verifier, await signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
  });

  test('the public key of a signer verifies what it signed', async () => {
    for (const { signer } of [ed, ec]) {
      const verifier = verifierOf([signer.publicKey]);
      expect(await outcome(verifier, await signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
    }
  });

  const refusal = async (load: Promise<unknown>): Promise<TriggerDeployError> => {
    const error = await load.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof TriggerDeployError)) throw error ?? new Error('it was accepted');
    expect(error.code).toBe('KEY_INVALID');
    return error;
  };

  test('an agent refuses a private key', async () => {
    const error = await refusal(loadPublicKey(await keyFile('private.json', ed.privateJwk)));
    expect(error.message).toMatch(/private\.json holds a private key$/);
    expect(error.hint).toContain('.pub.json');
  });

  test('a publisher refuses a public key', async () => {
    const error = await refusal(loadSigner(await keyFile('public.json', ed.publicJwk)));
    expect(error.message).toMatch(/public\.json is a public key/);
  });

  test('a file that is not there is named', async () => {
    const path = join(directory, 'nowhere.json');
    for (const load of [loadPublicKey, loadSigner])
      expect((await refusal(load(path))).message).toContain(path);
  });

  const rsa = () =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JWK;
  const x25519 = () => generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }) as JWK;
  const p384 = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' }) as JWK;
  const secret = (): JWK => ({ kty: 'oct', k: 'c2VjcmV0' });

  test.each<[string, () => unknown]>([
    ['no JSON', () => '-----BEGIN PUBLIC KEY-----'],
    ['an empty file', () => ''],
    ['a list', () => []],
    ['a key set', () => ({ keys: [ed.publicJwk] })],
    ['a key of no type', () => ({ crv: 'Ed25519', x: ed.publicJwk.x })],
    ['a kid that is no text', () => ({ ...ed.publicJwk, kid: 7 })],
    ['a kid longer than a header may carry', () => ({ ...ed.publicJwk, kid: 'x'.repeat(129) })],
    ['an RSA key', () => ({ ...rsa(), d: undefined })],
    ['a P-384 key', () => ({ ...p384(), d: undefined })],
    ['an X25519 key', () => ({ ...x25519(), d: undefined })],
    ['a shared secret', secret],
    ['a key without its x', () => ({ ...ed.publicJwk, x: undefined })],
    ['half an x', () => ({ ...ed.publicJwk, x: String(ed.publicJwk.x).slice(20) })],
    ['a point off the curve', () => ({ ...ec.publicJwk, y: ec.publicJwk.x })],
  ])('%s is no public key', async (_, content) => {
    await refusal(loadPublicKey(await keyFile('bad.json', content())));
  });

  test.each<[string, () => unknown]>([
    ['an RSA key', rsa],
    ['a P-384 key', p384],
    ['an X25519 key', x25519],
    ['a shared secret', () => ({ ...secret(), d: 'x' })],
    ['half a d', () => ({ ...ed.privateJwk, d: 'AAAA' })],
    ['an empty d', () => ({ ...ed.privateJwk, d: '' })],
    ['a d that is no text', () => ({ ...ed.privateJwk, d: 5 })],
    ['no x', () => ({ ...ed.privateJwk, x: undefined })],
    ['the halves of two Ed25519 pairs', () => ({ ...ed.privateJwk, x: other.publicJwk.x })],
    ['the halves of two P-256 pairs', () => ({ ...ec.privateJwk, ...otherPoint() })],
  ])('%s is no signing key', async (_, content) => {
    await refusal(loadSigner(await keyFile('bad.key.json', content())));
  });

  const otherPoint = () => {
    const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
    return { x, y };
  };
});
