import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cleanTail,
  DETAIL_LIMIT,
  ENDINGS,
  isEnding,
  PROGRESS_STATES,
  type Report,
  reply,
  report,
} from '../../../shared/report.ts';

const REPORT: Report = {
  kind: 'report',
  v: 1,
  deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNM',
  env: 'dev',
  service: 'payments',
  instance: 'i-0a',
  sequence: 7,
  n: 3,
  at: '2026-01-31T08:14:02.113Z',
  state: 'checking',
  version: '1.4.2',
  timings: { prepare: 12, start: 0.5 },
};
const bytes = (text: string) => Buffer.byteLength(text, 'utf8');
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

test('an ending is one, and a state on the way is none', () => {
  expect(ENDINGS.every(isEnding)).toBe(true);
  expect(PROGRESS_STATES.some(isEnding)).toBe(false);
});

describe('a report', () => {
  test('loses the fields that nobody knows, also those of its error', () => {
    const error = { code: 'X', message: 'it broke' };
    const more = {
      mood: [[[]]],
      error: { ...error, mood: 'good' },
      local: { action: 'deploy', by: 'me', x: 1 },
    };
    const local = { action: 'deploy', by: 'me' };
    expect(report.parse({ ...REPORT, ...more })).toEqual({ ...REPORT, error, local });
  });

  test('keeps the spans that this version knows, so that a later agent may have others', () => {
    const spans = { download: 12.5, sync: 0 };
    expect(report.parse({ ...REPORT, spans: { ...spans, reticulate: 1 } }).spans).toEqual(spans);
  });

  test('of a first deploy says that nothing ran before', () => {
    expect(report.parse({ ...REPORT, previous: null })).toMatchObject({ previous: null });
  });

  test.each<[string, object]>([
    ['in an unknown state', { state: 'done' }],
    ['of an unknown step', { step: 'reticulate' }],
    ['with time spent in an unknown step', { timings: { reticulate: 1 } }],
    ['with negative time', { timings: { prepare: -1 } }],
    ['with a negative span', { spans: { download: -1 } }],
    ['numbered below 0', { n: -1 }],
    ['of an instance that is a path', { instance: '../i' }],
    ['whose note is a novel', { note: 'x'.repeat(513) }],
    [
      'whose detail is endless',
      { error: { code: 'X', message: '', detail: 'x'.repeat(2 * DETAIL_LIMIT + 1) } },
    ],
    ['whose error has no code', { error: { message: 'it broke' } }],
    ['at no time', { at: 'noon' }],
  ])('%s is refused', (_, wrong) => {
    expect(report.safeParse({ ...REPORT, ...wrong }).success).toBe(false);
  });

  test.each([...PROGRESS_STATES, ...ENDINGS])('in the state %s is accepted', (state) => {
    expect(report.safeParse({ ...REPORT, state }).success).toBe(true);
  });
});

describe('what arrives on a reply queue', () => {
  const ANSWER = {
    kind: 'roll-call',
    v: 1,
    rollCall: REPORT.deployment,
    env: 'dev',
    instance: 'i-0a',
    agentVersion: '0.1.0',
    at: REPORT.at,
    services: [],
  };

  test('is a report or an answer to a roll call', () => {
    expect(reply.parse(REPORT)).toEqual(REPORT);
    expect(reply.parse(ANSWER)).toEqual(ANSWER);
  });

  test.each<[string, unknown]>([
    ['of an unknown kind', { ...REPORT, kind: 'rumour' }],
    ['without a kind', { ...REPORT, kind: undefined }],
    ['of 257 services', { ...ANSWER, services: Array.from({ length: 257 }, () => ({})) }],
    ['that is null', null],
  ])('and nothing %s', (_, value) => {
    expect(reply.safeParse(value).success).toBe(false);
  });
});

describe('the texts of a parsed reply', () => {
  const hostile = 'a\u001b[2Jb\r\nc\td\u202ee\u0000\u009b31m';

  test('of a report are cleaned: one line each, the log tail with its lines', () => {
    const error = { code: hostile, message: hostile, detail: hostile };
    const local = { action: 'deploy', by: hostile };
    const parsed = reply.parse({ ...REPORT, zone: hostile, note: hostile, local, error });
    expect(parsed).toMatchObject({
      ...{ zone: 'ab c de', note: 'ab c de', local: { by: 'ab c de' } },
      error: { code: 'ab c de', message: 'ab c de', detail: 'ab\nc\tde' },
    });
  });

  test('of a roll call are cleaned', () => {
    const about = { v: 1, env: 'dev', instance: 'i-0a', zone: hostile, agentVersion: hostile, at: REPORT.at };
    const service = { ...about, service: 'payments', version: null, sequence: 0, pinned: false };
    const answer = { kind: 'roll-call', ...about, rollCall: REPORT.deployment, services: [service] };
    const clean = { zone: 'ab c de', agentVersion: 'ab c de' };
    expect(reply.parse(answer)).toMatchObject({ ...clean, services: [clean] });
  });
});

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
        expect(report.safeParse({ ...REPORT, error }).success).toBe(true);
      }),
    );
  });
});
