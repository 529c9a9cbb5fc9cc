import { createHmac, createPrivateKey, createPublicKey, sign as nodeSign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { trustNone } from '../../../shared/signing.ts';
import {
  ANNOUNCEMENT,
  byEc,
  byEd,
  ec,
  ed,
  encode,
  forge,
  generateParties,
  header,
  other,
  outcome,
  PAYLOAD,
  type Party,
} from '../../support/shared/signing-fixture.ts';

generateParties();

const publicKeyOf = (from: Party) => createPublicKey({ key: from.publicJwk as never, format: 'jwk' });
const pem = (from: Party) => publicKeyOf(from).export({ format: 'pem', type: 'spki' }).toString();

describe('a forged header', () => {
  test('a document forged with the right key and header is read: the cases below fail for their one flaw', async () => {
    expect(await outcome(ed.verifier, forge(header(ed), PAYLOAD, byEd()))).toEqual(PAYLOAD);
    expect(await outcome(ec.verifier, forge(header(ec, { alg: 'ES256' }), PAYLOAD, byEc))).toEqual(PAYLOAD);
  });

  test.each(['none', 'None', 'NONE', 'nOnE'])('with alg %s is refused, signed or not', async (alg) => {
    const unsigned = `${encode(header(ed, { alg }))}.${encode(PAYLOAD)}.`;
    for (const verifier of [ed.verifier, trustNone()]) {
      expect(await outcome(verifier, unsigned)).toBe('SIGNATURE_INVALID');
      expect(await outcome(verifier, unsigned.slice(0, -1))).toBe('SIGNATURE_INVALID');
      expect(await outcome(verifier, forge(header(ed, { alg }), PAYLOAD, byEd()))).toBe('SIGNATURE_INVALID');
    }
  });

  test.each<[string, (from: Party) => string | Buffer]>([
    ['the JWK file', (from) => JSON.stringify(from.publicJwk)],
    ['the PEM', (from) => pem(from)],
    ['the PEM without its last newline', (from) => pem(from).trimEnd()],
    ['the DER', (from) => publicKeyOf(from).export({ format: 'der', type: 'spki' })],
    ['x', (from) => String(from.publicJwk.x)],
    ['the bytes of x', (from) => Buffer.from(String(from.publicJwk.x), 'base64url')],
    ['an empty secret', () => ''],
  ])('with HS256 and the public key (%s) as secret is refused', async (_, secretOf) => {
    for (const from of [ed, ec]) {
      for (const [alg, hash] of [
        ['HS256', 'sha256'],
        ['HS384', 'sha384'],
        ['HS512', 'sha512'],
      ] as const) {
        const mac = (input: Buffer) => createHmac(hash, secretOf(from)).update(input).digest();
        expect(await outcome(from.verifier, forge(header(from, { alg }), PAYLOAD, mac))).toBe(
          'SIGNATURE_INVALID',
        );
        // The same, under the algorithm that is expected.
        const honest = header(from, { alg: from === ed ? 'EdDSA' : 'ES256' });
        expect(await outcome(from.verifier, forge(honest, PAYLOAD, mac))).toBe('SIGNATURE_INVALID');
      }
    }
  });

  test('with ES256 over an Ed25519 key is refused', async () => {
    const asEc = header(ed, { alg: 'ES256' });
    expect(await outcome(ed.verifier, forge(asEc, PAYLOAD, byEd()))).toBe('SIGNATURE_INVALID');
    expect(await outcome(ed.verifier, forge(asEc, PAYLOAD, byEc))).toBe('SIGNATURE_INVALID');
  });

  test('with EdDSA over a P-256 key is refused', async () => {
    const asEd = header(ec, { alg: 'EdDSA' });
    expect(await outcome(ec.verifier, forge(asEd, PAYLOAD, byEc))).toBe('SIGNATURE_INVALID');
    expect(await outcome(ec.verifier, forge(asEd, PAYLOAD, byEd()))).toBe('SIGNATURE_INVALID');
  });

  test('with a DER signature, as KMS returns it, is refused: it belongs made raw first', async () => {
    const der = (input: Buffer) =>
      nodeSign('sha256', input, createPrivateKey({ key: ec.privateJwk as never, format: 'jwk' }));
    expect(await outcome(ec.verifier, forge(header(ec, { alg: 'ES256' }), PAYLOAD, der))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test('with r = s = 0 is refused (CVE-2022-21449)', async () => {
    const zero = () => new Uint8Array(64);
    expect(await outcome(ec.verifier, forge(header(ec, { alg: 'ES256' }), PAYLOAD, zero))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test.each<[string, string | object]>([
    ['without kid', { alg: 'EdDSA', typ: ANNOUNCEMENT }],
    ['without typ', { alg: 'EdDSA', kid: 'x' }],
    ['without alg', { kid: 'x', typ: ANNOUNCEMENT }],
    ['with an empty kid', { alg: 'EdDSA', kid: '', typ: ANNOUNCEMENT }],
    ['with a kid of 129 characters', { alg: 'EdDSA', kid: 'x'.repeat(129), typ: ANNOUNCEMENT }],
    ['with a kid that is no text', { alg: 'EdDSA', kid: 1, typ: ANNOUNCEMENT }],
    ['with typ in capitals', { alg: 'EdDSA', kid: 'x', typ: ANNOUNCEMENT.toUpperCase() }],
    ['with the typ of any JWT', { alg: 'EdDSA', kid: 'x', typ: 'JWT' }],
    ['that is a list', []],
    ['that is null', 'null'],
    ['that is no JSON', '{"alg":"EdDSA"'],
    ['that is empty', ''],
  ])('%s is refused, even where nothing is verified', async (_, head) => {
    const text = forge(head, PAYLOAD, byEd());
    expect(await outcome(ed.verifier, text)).toBe('SIGNATURE_INVALID');
    expect(await outcome(trustNone(), text)).toBe('SIGNATURE_INVALID');
  });

  test('that brings its own key is not believed', async () => {
    for (const more of [{ jwk: other.publicJwk }, { jku: 'https://evil.example/keys' }, { x5c: ['AA=='] }]) {
      expect(await outcome(ed.verifier, forge(header(ed, more), PAYLOAD, byEd(other)))).toBe(
        'SIGNATURE_INVALID',
      );
    }
  });

  test('that demands an extension unknown here is refused', async () => {
    const text = forge(header(ed, { crit: ['exp'], exp: 1 }), PAYLOAD, byEd());
    expect(await outcome(ed.verifier, text)).toBe('SIGNATURE_INVALID');
  });

  test('with a kid named like a property of every object is a key not held', async () => {
    for (const kid of ['__proto__', 'constructor', 'toString']) {
      expect(await outcome(ed.verifier, forge(header(ed, { kid }), PAYLOAD, byEd()))).toBe(
        'SIGNATURE_INVALID',
      );
    }
  });
});
