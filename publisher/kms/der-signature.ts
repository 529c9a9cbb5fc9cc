/**
 * ECDSA signatures: KMS answers in DER (RFC 3279, section 2.2.3: a SEQUENCE of two INTEGERs), JWS has r and s as bytes of
 * a fixed length, one behind the other (RFC 7518, section 3.4). Pure.
 */

const SEQUENCE = 0x30;
const INTEGER = 0x02;
/** The longest length that one byte holds. A signature of P-256 has 72 bytes at most. */
const LONGEST_SHORT_FORM = 0x7f;

/**
 * r and s of the DER signature, `size` bytes each, zeros in front of a short one. @throws Error when it is not exactly
 * such a signature: bytes are left over, an integer is negative, empty, padded without need, or longer than `size`.
 */
export function rawSignature(der: Uint8Array, size: number): Buffer {
  const bytes = Buffer.from(der);
  const body = element(bytes, 0, SEQUENCE);
  if (body.end !== bytes.length) throw new Error('bytes behind the signature');
  const r = element(bytes, body.start, INTEGER);
  const s = element(bytes, r.end, INTEGER);
  if (s.end !== body.end) throw new Error('not two integers');
  return Buffer.concat([r, s].map(({ start, end }) => padded(bytes.subarray(start, end), size)));
}

/** Where the content of the element at `at` begins and ends. */
function element(bytes: Buffer, at: number, tag: number): { start: number; end: number } {
  const length = bytes[at + 1];
  if (bytes[at] !== tag || length === undefined || length > LONGEST_SHORT_FORM) throw new Error('not DER');
  const end = at + 2 + length;
  if (end > bytes.length) throw new Error('it ends too early');
  return { start: at + 2, end };
}

/** A DER integer is signed: a zero byte stands in front of a first bit that is set. */
function padded(integer: Buffer, size: number): Buffer {
  const [first, second = 0] = integer;
  if (first === undefined) throw new Error('an empty integer');
  if (first >= 0x80) throw new Error('a negative integer');
  if (first === 0 && integer.length > 1 && second < 0x80) throw new Error('an integer with needless zeros');
  const digits = first === 0 ? integer.subarray(1) : integer;
  if (digits.length === 0) throw new Error('the integer 0');
  if (digits.length > size) throw new Error(`an integer of more than ${size} bytes`);
  return Buffer.concat([Buffer.alloc(size - digits.length), digits]);
}
