import { generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rawSignature } from '../../../../publisher/kms/der-signature.ts';
import { der } from '../../../support/cloud/ecdsa-digest.ts';

const raw = (signature: Uint8Array) => rawSignature(signature, 32);
const hex32 = (value: bigint) => value.toString(16).padStart(64, '0');

describe('a DER signature', () => {
  it('of Node, over anything, verifies in its raw form', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (message) => {
        const signature = raw(sign('sha256', message, { key: privateKey, dsaEncoding: 'der' }));
        return (
          signature.length === 64 &&
          verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
        );
      }),
      { numRuns: 200 },
    );
  });

  it('of integers of any length becomes 32 bytes each, zeros in front', () => {
    const integer = fc
      .integer({ min: 1, max: 32 })
      .chain((bytes) => fc.bigInt({ min: 1n, max: (1n << BigInt(8 * bytes)) - 1n }));
    fc.assert(
      fc.property(integer, integer, (r, s) => raw(der(r, s)).toString('hex') === hex32(r) + hex32(s)),
    );
    expect(raw(der(1n, 0x80n)).toString('hex')).toBe(hex32(1n) + hex32(0x80n));
  });

  it.each([
    ['nothing', ''],
    ['no sequence', '0206020101020101'],
    ['bytes behind it', '300602010102010100'],
    ['a third integer', '3009020101020101020101'],
    ['a length beyond the end', '3006020101020201'],
    ['one integer', '3003020101'],
    ['a long form of the length', '308106020101020101'],
    ['an empty integer', '30050200020101'],
    ['a negative integer', '3006020181020101'],
    ['needless zeros', '300702020001020101'],
    ['the integer 0', '3006020100020101'],
    ['an integer of 33 bytes', `3026022101${'00'.repeat(32)}020101`],
  ])('with %s is refused', (_, hex) => {
    expect(() => raw(Buffer.from(hex, 'hex'))).toThrow();
  });

  it('that is cut or altered in its form never becomes 64 other bytes', () => {
    const whole = der(1n << 255n, 5n);
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => raw(whole.subarray(0, length))).toThrow();
    }
  });
});
