import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { trustNone } from '../../../shared/signing.ts';
import {
  ANNOUNCEMENT,
  byEd,
  ec,
  ed,
  forge,
  generateParties,
  outcome,
  PAYLOAD,
} from '../../support/shared/signing-fixture.ts';

generateParties();

function jsonForm(text: string): string {
  const [head, payload, signature] = text.split('.');
  return JSON.stringify({ protected: head, payload, signature });
}

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

  test('longer than a message of SNS is refused unread, and one just below is read', async () => {
    const long = (length: number) => ed.signer.sign(ANNOUNCEMENT, { ...PAYLOAD, note: 'x'.repeat(length) });
    expect(await outcome(ed.verifier, await long(190_000))).toMatchObject({ service: 'payments' });
    expect(await outcome(ed.verifier, await long(200_000))).toBe('SIGNATURE_INVALID');
    for (const filler of ['A', '.', '\0', '=']) {
      const began = performance.now();
      expect(await outcome(ed.verifier, filler.repeat(50_000_000))).toBe('SIGNATURE_INVALID');
      // What is not linear takes minutes; a loaded machine takes seconds.
      expect(performance.now() - began).toBeLessThan(15_000);
    }
  });

  test('of dots only, just within the limit, is refused', async () => {
    expect(await outcome(ed.verifier, '.'.repeat(262_000))).toBe('SIGNATURE_INVALID');
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
