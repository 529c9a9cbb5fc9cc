import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as nodeSign,
} from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { TriggerDeployError } from '../../../shared/errors.ts';
import {
  type DocumentType,
  generateKeys,
  loadPublicKey,
  loadSigner,
  type Signer,
  trustNone,
  type Verifier,
  verifierOf,
} from '../../../shared/signing.ts';

const TYPES: DocumentType[] = ['td-announcement+jws', 'td-manifest+jws', 'td-desired+jws'];
const [ANNOUNCEMENT] = TYPES as [DocumentType];
const schema = z.looseObject({ v: z.literal(1), service: z.string() });
const PAYLOAD = { v: 1, service: 'payments', note: 'é' } as const;

interface Party {
  signer: Signer;
  privateJwk: JWK;
  publicJwk: JWK;
  verifier: Verifier;
}

let directory: string;
let ed: Party;
let other: Party;
let ec: Party;

async function keyFile(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

async function party(
  name: string,
  { privateJwk, publicJwk }: { privateJwk: JWK; publicJwk: JWK },
): Promise<Party> {
  const signer = await loadSigner(await keyFile(`${name}.key.json`, privateJwk));
  const publicKey = await loadPublicKey(await keyFile(`${name}.pub.json`, publicJwk));
  return { signer, privateJwk, publicJwk, verifier: verifierOf([publicKey]) };
}

async function generateEs256(): Promise<{ privateJwk: JWK; publicJwk: JWK }> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    privateJwk: { ...(await exportJWK(pair.privateKey)), kid },
    publicJwk: { ...publicJwk, kid },
  };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trigger-deploy-signing-'));
  ed = await party('ed', await generateKeys());
  other = await party('other', await generateKeys());
  ec = await party('ec', await generateEs256());
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

const encode = (value: string | Uint8Array | object) =>
  (typeof value === 'string'
    ? Buffer.from(value)
    : Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value))
  ).toString('base64url');

/** Any header and payload, signed by whatever means: what an honest signer never makes. */
function forge(
  header: string | object,
  payload: string | Uint8Array | object,
  sign: (input: Buffer) => Uint8Array | string,
): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${encode(sign(Buffer.from(input)))}`;
}

const byEd =
  (from: Party = ed) =>
  (input: Buffer) =>
    nodeSign(null, input, createPrivateKey({ key: from.privateJwk as never, format: 'jwk' }));
const byEc = (input: Buffer) =>
  nodeSign('sha256', input, {
    key: createPrivateKey({ key: ec.privateJwk as never, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  });

/** What became of `text`: the payload, or the code of the refusal; anything else thrown is a bug. */
async function outcome(verifier: Verifier, text: string, typ: DocumentType = ANNOUNCEMENT): Promise<unknown> {
  try {
    return await verifier.verify(typ, text, schema);
  } catch (error) {
    if (error instanceof TriggerDeployError) return error.code;
    throw error;
  }
}

const header = (from: Party, more: object = {}) => ({
  alg: 'EdDSA',
  kid: from.signer.kid,
  typ: ANNOUNCEMENT,
  ...more,
});

describe('a signed document', () => {
  test.each(TYPES)('of the type %s is read by whoever holds the public key', async (typ) => {
    for (const from of [ed, ec]) {
      expect(await outcome(from.verifier, await from.signer.sign(typ, PAYLOAD), typ)).toEqual(PAYLOAD);
    }
  });

  test.each(
    TYPES.flatMap((is) => TYPES.filter((asked) => asked !== is).map((asked) => [is, asked] as const)),
  )('of the type %s is refused where %s belongs', async (is, asked) => {
    for (const from of [ed, ec]) {
      const text = await from.signer.sign(is, PAYLOAD);
      expect(await outcome(from.verifier, text, asked)).toBe('SIGNATURE_INVALID');
      expect(await outcome(trustNone(), text, asked)).toBe('SIGNATURE_INVALID');
    }
  });

  test('by a key that is not held is refused, and its kid named', async () => {
    const text = await other.signer.sign(ANNOUNCEMENT, PAYLOAD);
    await expect(ed.verifier.verify(ANNOUNCEMENT, text, schema)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: `signed by an unknown key (kid ${other.signer.kid})`,
    });
  });

  test('by another key under the kid of one that is held is refused', async () => {
    expect(await outcome(ed.verifier, forge(header(ed), PAYLOAD, byEd(other)))).toBe('SIGNATURE_INVALID');
  });

  test('is refused by an agent that holds no key', async () => {
    expect(await outcome(verifierOf([]), await ed.signer.sign(ANNOUNCEMENT, PAYLOAD))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test('by either of two keys is read during a rotation, and by the old one no longer after it', async () => {
    const both = verifierOf([ed.signer.publicKey, other.signer.publicKey, ec.signer.publicKey]);
    expect(both.kids).toEqual([ed.signer.kid, other.signer.kid, ec.signer.kid]);
    for (const from of [ed, other, ec]) {
      expect(await outcome(both, await from.signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
    }
    const after = verifierOf([other.signer.publicKey]);
    expect(await outcome(after, await ed.signer.sign(ANNOUNCEMENT, PAYLOAD))).toBe('SIGNATURE_INVALID');
    expect(await outcome(after, await other.signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
  });
});

describe('one altered byte', () => {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  /** Its neighbours in the alphabet share all but the last bits; the rest is what does not belong at all. */
  const replacements = (character: string) => {
    const place = ALPHABET.indexOf(character);
    const near = place < 0 ? ['A'] : [ALPHABET.charAt(place ^ 1), ALPHABET.charAt(place ^ 32)];
    return [...near, '.', '=', '+', '/', ' ', '\n', '\0', 'é', '', `${character}${character}`];
  };

  test.each(['EdDSA', 'ES256'])(
    'at whichever place of a document signed with %s, it is refused',
    async (alg) => {
      const { signer, verifier } = alg === 'EdDSA' ? ed : ec;
      const text = await signer.sign(ANNOUNCEMENT, PAYLOAD);
      expect(await outcome(verifier, text)).toEqual(PAYLOAD);
      let mutations = 0;
      for (const [place, character] of [...text].entries()) {
        for (const replacement of replacements(character)) {
          if (replacement === character) continue;
          const altered = text.slice(0, place) + replacement + text.slice(place + 1);
          if (altered === text) continue;
          mutations += 1;
          expect(await outcome(verifier, altered), `${place}: ${character} → ${replacement}`).toBe(
            'SIGNATURE_INVALID',
          );
        }
      }
      expect(mutations).toBeGreaterThan(text.length * 10);
    },
  );

  test('and several of them, anywhere, are refused too', async () => {
    const text = await ed.signer.sign(ANNOUNCEMENT, PAYLOAD);
    const change = fc.tuple(fc.nat(text.length - 1), fc.constantFrom(...ALPHABET, '.', '='));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const letters = [...text];
        for (const [place, letter] of changes) letters[place] = letter;
        const altered = letters.join('');
        expect(await outcome(ed.verifier, altered)).toEqual(altered === text ? PAYLOAD : 'SIGNATURE_INVALID');
      }),
      { numRuns: 500 },
    );
  });

  test('the segments of two documents cannot be mixed', async () => {
    const one = (await ed.signer.sign(ANNOUNCEMENT, PAYLOAD)).split('.');
    const two = (await ed.signer.sign(ANNOUNCEMENT, { ...PAYLOAD, service: 'orders' })).split('.');
    expect(await outcome(ed.verifier, [one[0], two[1], one[2]].join('.'))).toBe('SIGNATURE_INVALID');
    expect(await outcome(ed.verifier, [one[0], one[1], two[2]].join('.'))).toBe('SIGNATURE_INVALID');
    expect(await outcome(ed.verifier, [one[1], one[0], one[2]].join('.'))).toBe('SIGNATURE_INVALID');
  });

  test('the one other signature that ECDSA allows for a text reads as the identical payload', async () => {
    const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n; // the order of P-256, FIPS 186-4 D.1.2.3
    const [head, body, signature = ''] = (await ec.signer.sign(ANNOUNCEMENT, PAYLOAD)).split('.');
    const raw = Buffer.from(signature, 'base64url');
    const s = BigInt(`0x${raw.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([
      raw.subarray(0, 32),
      Buffer.from((N - s).toString(16).padStart(64, '0'), 'hex'),
    ]);
    expect(await outcome(ec.verifier, `${head}.${body}.${encode(twin)}`)).toEqual(PAYLOAD);
  });
});

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

const publicKeyOf = (from: Party) => createPublicKey({ key: from.publicJwk as never, format: 'jwk' });
const pem = (from: Party) => publicKeyOf(from).export({ format: 'pem', type: 'spki' }).toString();

describe('another text of the same document', () => {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  /** The other spellings of a segment whose last character has bits to spare. */
  function spellings(segment: string): string[] {
    const spare = { 2: 4, 3: 2 }[segment.length % 4] ?? 0;
    const last = ALPHABET.indexOf(segment.slice(-1));
    return Array.from(
      { length: 2 ** spare - 1 },
      (_, i) => segment.slice(0, -1) + ALPHABET.charAt(last ^ (i + 1)),
    );
  }

  test('by the spare bits of its base64url is refused, though it decodes to the same bytes', async () => {
    let tried = 0;
    for (const note of ['', 'x', 'xx', 'xxx']) {
      const segments = (await ed.signer.sign(ANNOUNCEMENT, { ...PAYLOAD, note })).split('.');
      for (const [place, segment] of segments.entries()) {
        for (const spelling of spellings(segment)) {
          expect(Buffer.from(spelling, 'base64url')).toEqual(Buffer.from(segment, 'base64url'));
          const text = segments.with(place, spelling).join('.');
          expect(await outcome(ed.verifier, text)).toBe('SIGNATURE_INVALID');
          expect(await outcome(trustNone(), text)).toBe('SIGNATURE_INVALID');
          tried += 1;
        }
      }
    }
    expect(tried).toBeGreaterThan(60);
  });

  test.each<[string, (text: string) => string]>([
    ['padding', (text) => `${text}==`],
    [
      'padding in each segment',
      (text) =>
        text
          .split('.')
          .map((one) => one.padEnd(Math.ceil(one.length / 4) * 4, '='))
          .join('.'),
    ],
    ['the alphabet of base64', (text) => `${text.replaceAll('-', '+').replaceAll('_', '/')}+/`],
    ['a space before', (text) => ` ${text}`],
    ['a line break after', (text) => `${text}\n`],
    ['a line break within', (text) => `${text.slice(0, 10)}\n${text.slice(10)}`],
    ['a byte order mark', (text) => `\ufeff${text}`],
    ['a dot before', (text) => `.${text}`],
    ['a dot after', (text) => `${text}.`],
    ['a fourth segment', (text) => `${text}.AAAA`],
    ['five segments, as of an encrypted one', (text) => `${text}.AAAA.AAAA`],
    ['no signature', (text) => text.slice(0, text.lastIndexOf('.'))],
    ['an empty signature', (text) => text.slice(0, text.lastIndexOf('.') + 1)],
    ['an empty payload', (text) => text.split('.').with(1, '').join('.')],
    ['an empty header', (text) => text.split('.').with(0, '').join('.')],
    ['quotes', (text) => JSON.stringify(text)],
    ['the JSON form of RFC 7515', (text) => jsonForm(text)],
  ])('with %s is refused', async (_, change) => {
    for (const from of [ed, ec]) {
      expect(await outcome(from.verifier, change(await from.signer.sign(ANNOUNCEMENT, PAYLOAD)))).toBe(
        'SIGNATURE_INVALID',
      );
    }
  });

  test('longer than a mebibyte is refused unread, and one just below is read', async () => {
    const long = (length: number) => ed.signer.sign(ANNOUNCEMENT, { ...PAYLOAD, note: 'x'.repeat(length) });
    expect(await outcome(ed.verifier, await long(780_000))).toMatchObject({ service: 'payments' });
    expect(await outcome(ed.verifier, await long(790_000))).toBe('SIGNATURE_INVALID');
    for (const filler of ['A', '.', '\0', '=']) {
      const began = performance.now();
      expect(await outcome(ed.verifier, filler.repeat(50_000_000))).toBe('SIGNATURE_INVALID');
      expect(performance.now() - began).toBeLessThan(1000);
    }
  });

  test('of dots only, just within the limit, is refused', async () => {
    expect(await outcome(ed.verifier, '.'.repeat(1_000_000))).toBe('SIGNATURE_INVALID');
  });

  test('a header nested a hundred thousand deep is refused', async () => {
    const head = `{"alg":"EdDSA","kid":${'['.repeat(100_000)}${']'.repeat(100_000)},"typ":"${ANNOUNCEMENT}"}`;
    expect(await outcome(ed.verifier, forge(head, PAYLOAD, byEd()))).toBe('SIGNATURE_INVALID');
  });

  test('any text at all is refused, and never more than that', async () => {
    const segment = fc.string({ unit: fc.constantFrom(...'Ae0-_=+.'.split(''), 'é'), maxLength: 12 });
    const text = fc.oneof(
      fc.string(),
      fc.array(segment, { maxLength: 4 }).map((all) => all.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (any) => {
        expect(await outcome(ed.verifier, any)).toBe('SIGNATURE_INVALID');
        expect(await outcome(trustNone(), any)).toBe('SIGNATURE_INVALID');
      }),
    );
  });
});

function jsonForm(text: string): string {
  const [head, payload, signature] = text.split('.');
  return JSON.stringify({ protected: head, payload, signature });
}

describe('a payload', () => {
  test.each<[string, string | Uint8Array]>([
    ['that is no JSON', 'v=1'],
    ['that is empty', ''],
    ['that is not UTF-8', Buffer.from('{"v":1,"service":"\xff"}', 'latin1')],
    ['that is null', 'null'],
    ['that is a list', '[{"v":1,"service":"payments"}]'],
    ['of another format', '{"v":2,"service":"payments"}'],
    ['nested a hundred thousand deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('%s is DOCUMENT_INVALID, though the signature holds', async (_, payload) => {
    expect(await outcome(ed.verifier, forge(header(ed), payload, byEd()))).toBe('DOCUMENT_INVALID');
  });

  test('that does not fit says where', async () => {
    const text = await ed.signer.sign(ANNOUNCEMENT, { v: 1, service: 5 });
    await expect(ed.verifier.verify(ANNOUNCEMENT, text, schema)).rejects.toThrow(
      'the payload does not fit: service: ',
    );
  });

  test('is not looked at before the signature holds', async () => {
    expect(await outcome(ed.verifier, forge(header(ed), 'v=1', byEd(other)))).toBe('SIGNATURE_INVALID');
  });

  test('with a __proto__ changes nothing but itself', async () => {
    const payload = '{"v":1,"service":"payments","__proto__":{"polluted":true}}';
    const read = await outcome(ed.verifier, forge(header(ed), payload, byEd()));
    expect(read).toMatchObject({ service: 'payments' });
    expect((read as { polluted?: boolean }).polluted).toBeUndefined();
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('trust: none', () => {
  test('holds no key, and reads what anybody signed', async () => {
    expect(trustNone().kids).toEqual([]);
    for (const from of [ed, other, ec]) {
      expect(await outcome(trustNone(), await from.signer.sign(ANNOUNCEMENT, PAYLOAD))).toEqual(PAYLOAD);
    }
  });

  test('demands that there be a signature', async () => {
    const text = await ed.signer.sign(ANNOUNCEMENT, PAYLOAD);
    expect(await outcome(trustNone(), text.slice(0, text.lastIndexOf('.') + 1))).toBe('SIGNATURE_INVALID');
  });

  test('reads even what was tampered with, and demands that it fits', async () => {
    expect(
      await outcome(
        trustNone(),
        forge(header(ed), PAYLOAD, () => 'nonsense'),
      ),
    ).toEqual(PAYLOAD);
    expect(
      await outcome(
        trustNone(),
        forge(header(ed), { v: 2 }, () => 'nonsense'),
      ),
    ).toBe('DOCUMENT_INVALID');
  });
});

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

  test('the public half that a signer tells verifies what it signed', async () => {
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
