import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanTail, DETAIL_LIMIT } from '../../../shared/clean-text.ts';
import { reportError } from '../../../shared/report.ts';

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const bytes = (text: string) => Buffer.byteLength(text, 'utf8');

describe('cleanTail', () => {
  test.each<[string, string, string]>([
    ['a colour', '\u001b[31mred\u001b[0m', 'red'],
    ['a colour with sub-parameters', '\u001b[38:2::255:0:0mred\u001b[m', 'red'],
    ['a private mode', '\u001b[?25lhidden\u001b[>4;2m', 'hidden'],
    ['an 8-bit sequence', '\u009b31mred', 'red'],
    ['a window title that ends with BEL', '\u001b]0;evil title\u0007text', 'text'],
    ['a window title that ends with ST', '\u001b]0;evil title\u001b\\text', 'text'],
    ['a link', '\u001b]8;;http://evil\u001b\\click\u001b]8;;\u001b\\', 'click'],
    ['a device control string', '\u001bP1$r0m\u001b\\text', 'text'],
    ['a character set', '\u001b(Btext', 'text'],
    ['a terminal reset', 'a\u001bcb', 'ab'],
    ['bell, backspace, delete, NUL', 'a\u0007\b\u007f\0b', 'ab'],
    ['a carriage return', 'loading\rdone\r\n', 'loadingdone\n'],
    ['the C1 controls', 'a\u0085\u0090b', 'ab'],
    ['an escape at the very end', 'text\u001b', 'text'],
    ['a sequence that never ends', 'text\u001b[12;', 'text12;'],
    ['a change of the reading direction', 'a\u202eb\u2066c\u200fd\u061ce', 'abcde'],
  ])('removes %s', (_, dirty, clean) => {
    expect(cleanTail(dirty)).toBe(clean);
  });

  test('a title that is never ended hides nothing', () => {
    expect(cleanTail('\u001b]first\nsecond\u0007third')).toBe('first\nsecondthird');
  });

  test('keeps newlines, tabs, accents and emoji', () => {
    expect(cleanTail('a\n\tb é 日本 🚀')).toBe('a\n\tb é 日本 🚀');
  });

  const noisy = fc.string({
    unit: fc.oneof(
      fc.constantFrom(
        '\u001b',
        '[',
        ']',
        '\u009b',
        '\u0007',
        '\\',
        '3',
        ';',
        'm',
        '\u009c',
        '\0',
        '\u202e',
        '\u2067',
        '\n',
        '\t',
        '\r',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
      fc.constantFrom('é', '日', '🚀', '\ud800', '\udc00', '\ufffd'),
    ),
    maxLength: 60,
  });
  /** Noise blown up past the limit, so that the cut falls at any byte of any character. */
  const long = fc
    .tuple(noisy, fc.constantFrom('x', 'é', '日', '🚀'), fc.integer({ min: -8, max: 8 }), fc.nat(3), noisy)
    .map(([before, filler, near, shift, after]) => {
      const fill = filler.repeat(Math.floor(DETAIL_LIMIT / bytes(filler)) + near);
      return before + fill + 'y'.repeat(shift) + after;
    });

  test('no control character but newline and tab is left, whatever comes', () => {
    fc.assert(fc.property(fc.oneof(noisy, long), (text) => !CONTROL.test(cleanTail(text))));
  });

  test('what is clean and short is left as it is', () => {
    fc.assert(
      fc.property(noisy, (text) => {
        fc.pre(!CONTROL.test(text));
        expect(cleanTail(text)).toBe(text);
      }),
    );
  });

  test('cleaning twice is cleaning once', () => {
    fc.assert(fc.property(fc.oneof(noisy, long), (text) => cleanTail(cleanTail(text)) === cleanTail(text)));
  });

  test('at most 16 KiB is kept, the end, cut between two characters', () => {
    const character = fc.constantFrom('x', 'é', '日', '🚀');
    fc.assert(
      fc.property(
        fc.array(character, { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 0, max: 12 }),
        (unit, extra) => {
          const pattern = unit.join('');
          const text = pattern.repeat(Math.ceil(DETAIL_LIMIT / bytes(pattern))) + 'z'.repeat(extra);
          const kept = cleanTail(text);
          expect(text.endsWith(kept)).toBe(true);
          expect(bytes(kept)).toBeLessThanOrEqual(DETAIL_LIMIT);
          // Whole characters only, and as many as fit: the next would be one too many.
          const [next = ''] = [...text.slice(0, text.length - kept.length)].reverse();
          if (next !== '') expect(bytes(next + kept)).toBeGreaterThan(DETAIL_LIMIT);
        },
      ),
    );
  });

  test('exactly 16 KiB is kept whole, and one byte more is cut by one', () => {
    const full = 'x'.repeat(DETAIL_LIMIT);
    expect(cleanTail(full)).toBe(full);
    expect(cleanTail(`a${full}`)).toBe(full);
  });

  test('a megabyte of openers that never end is cleaned without delay', () => {
    for (const opener of ['\u001b[', '\u001b]', '\u009d', '\u001b[0;', '\u001bP1', '\u001b ']) {
      const began = performance.now();
      const text = cleanTail(opener.repeat(1_000_000 / opener.length));
      // What is not linear takes minutes; a loaded machine takes seconds.
      expect(performance.now() - began).toBeLessThan(15_000);
      expect(CONTROL.test(text)).toBe(false);
    }
  });

  test('what is cleaned always fits into a report', () => {
    fc.assert(
      fc.property(fc.oneof(noisy, long), (text) => {
        const error = { code: 'CHECK_FAILED', message: 'm', detail: cleanTail(text) };
        expect(reportError.safeParse(error).success).toBe(true);
      }),
    );
  });
});
