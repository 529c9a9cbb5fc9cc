import { createECDH, type KeyObject } from 'node:crypto';

/**
 * ECDSA over P-256 of a digest (FIPS 186-5, section 6.4.1), as KMS signs with `MessageType` DIGEST. Node's `sign` always
 * hashes its input first, so the arithmetic is here; the point multiplication is Node's. For tests only: not constant in
 * time.
 */

/** The order of the group of P-256 (SP 800-186). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const SIZE = 32;

const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** r and s, each the smallest number of bytes that DER allows. */
export function signDigest(privateKey: KeyObject, digest: Uint8Array): Buffer {
  const d = numberOf(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
  const once = createECDH('prime256v1');
  // One byte for the form of the point, then its x.
  const r = numberOf(once.generateKeys().subarray(1, 1 + SIZE)) % ORDER;
  const k = numberOf(once.getPrivateKey());
  const s = (inverse(k) * ((numberOf(digest) + r * d) % ORDER)) % ORDER;
  if (r === 0n || s === 0n) return signDigest(privateKey, digest);
  return der(r, s);
}

/** A SEQUENCE of two INTEGERs. */
export function der(r: bigint, s: bigint): Buffer {
  const body = Buffer.concat([integer(r), integer(s)]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const content = (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
  return Buffer.concat([Buffer.from([0x02, content.length]), content]);
}

/** By Fermat's little theorem: ORDER is prime. */
function inverse(value: bigint): bigint {
  let result = 1n;
  let base = value % ORDER;
  for (let exponent = ORDER - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}
