import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { trustNone, verifierOf } from '../../../shared/signing.ts';
import {
  ANNOUNCEMENT,
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
  schema,
  TYPES,
} from '../../support/shared/signing-fixture.ts';

generateParties();

describe('a signed document', () => {
  test.each(TYPES)('of the type %s is verified with the public key', async (typ) => {
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

describe('a payload', () => {
  test.each<[string, string | Uint8Array]>([
    ['that is no JSON', 'v=1'],
    ['that is empty', ''],
    ['that is not UTF-8', Buffer.from('{"v":1,"service":"\xff"}', 'latin1')],
    ['that is null', 'null'],
    ['that is a list', '[{"v":1,"service":"payments"}]'],
    ['of another format', '{"v":2,"service":"payments"}'],
    ['nested ninety thousand deep', `${'['.repeat(90_000)}${']'.repeat(90_000)}`],
  ])('%s is DOCUMENT_INVALID, though the signature holds', async (_, payload) => {
    expect(await outcome(ed.verifier, forge(header(ed), payload, byEd()))).toBe('DOCUMENT_INVALID');
  });

  test('that does not fit says where', async () => {
    const text = await ed.signer.sign(ANNOUNCEMENT, { v: 1, service: 5 });
    await expect(ed.verifier.verify(ANNOUNCEMENT, text, schema)).rejects.toThrow(
      'the payload is not valid: service: ',
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
