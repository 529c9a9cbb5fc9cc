import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { duration, parseConfigFile } from '../../../shared/config-file.ts';
import { parseDuration } from '../../../shared/duration.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';

const schema = z.strictObject({
  env: z.string(),
  level: z.enum(['info', 'debug']).default('info'),
  wait: duration.default(1000),
  trust: z.union([z.literal('none'), z.strictObject({ keys: z.array(z.string()).min(1, 'no key') })], {
    error: 'expected keys, or none',
  }),
  services: z
    .record(
      z.string().regex(/^[a-z]+$/, 'a service is a-z'),
      z.strictObject({ port: z.number(), dir: z.string() }),
    )
    .default({}),
  hooks: z.array(z.strictObject({ run: z.string() })).default([]),
});
const GOOD = 'env: dev\ntrust: none\n';

const parse = (text: string) =>
  parseConfigFile(text, 'agent.yaml', schema as z.ZodType<z.infer<typeof schema>>);

/** The mistakes found in `text`, one a line. */
function mistakes(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof TriggerDeployError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    return error.detail?.split('\n') ?? [];
  }
  throw new Error('it was accepted');
}

describe('a config file', () => {
  test('without mistakes is read, defaults filled in', () => {
    expect(parse(GOOD)).toEqual({
      env: 'dev',
      level: 'info',
      wait: 1000,
      trust: 'none',
      services: {},
      hooks: [],
    });
  });

  test('may use an anchor a few times', () => {
    const text = `${GOOD}services:\n  a: &one { port: 1, dir: /a }\n  b: *one\n`;
    expect(parse(text).services).toEqual({ a: { port: 1, dir: '/a' }, b: { port: 1, dir: '/a' } });
  });

  test('with several mistakes has all of them named, each with its line and path', () => {
    const text = [
      'env: 5',
      'level: loud',
      'wait: 10',
      'trust: none',
      'colour: blue',
      'services:',
      '  payments: { port: "80", dir: /a }',
      '  Edge: { port: 1, dir: /b }',
      'hooks:',
      '  - run: ok',
      '  - run: 7',
    ].join('\n');
    expect(mistakes(text).sort()).toEqual([
      'agent.yaml:11: hooks.1.run: Invalid input: expected string, received number',
      'agent.yaml:1: env: Invalid input: expected string, received number',
      'agent.yaml:2: level: Invalid option: expected one of "info"|"debug"',
      'agent.yaml:3: wait: expected a duration such as 500ms, 30s, 10m or 1h',
      'agent.yaml:5: colour: unknown key',
      'agent.yaml:7: services.payments.port: Invalid input: expected number, received string',
      'agent.yaml:8: services.Edge: a service is a-z',
    ]);
  });

  test('says how many mistakes it has, and what to do', () => {
    const thrown = (text: string) => {
      try {
        return parse(text);
      } catch (error) {
        return error;
      }
    };
    expect(thrown('trust: none')).toMatchObject({ message: 'agent.yaml has one mistake' });
    expect(thrown('{}')).toMatchObject({
      message: 'agent.yaml has 2 mistakes',
      hint: 'correct each line above',
    });
  });

  test.each<[string, string, string]>([
    ['what is missing at the top', 'trust: none', 'agent.yaml:1: env: missing: expected string'],
    [
      'what is missing further in',
      `${GOOD}services:\n  payments:\n    port: 1\n`,
      'agent.yaml:4: services.payments.dir: missing: expected string',
    ],
    ['a missing alternative', 'env: dev', 'agent.yaml:1: trust: missing: expected keys, or none'],
    ['an alternative that is none', 'env: dev\ntrust: maybe', 'agent.yaml:2: trust: expected keys, or none'],
    ['a mistake within an alternative', 'env: dev\ntrust:\n  keys: []', 'agent.yaml:3: trust.keys: no key'],
    [
      'a wrong type within an alternative',
      'env: dev\ntrust:\n  keys:\n    - 5',
      'agent.yaml:4: trust.keys.0: Invalid input: expected string, received number',
    ],
    [
      'a key without a value',
      'env:\ntrust: none',
      'agent.yaml:1: env: Invalid input: expected string, received null',
    ],
    [
      'a mistake behind an alias as what it is, and not as missing',
      `${GOOD}services:\n  a: &one { port: 1, dir: 5 }\n  b: *one\n`,
      'agent.yaml:5: services.b.dir: Invalid input: expected string, received number',
    ],
    [
      'a list where a map belongs',
      '- env: dev',
      'agent.yaml:1: (top): Invalid input: expected object, received array',
    ],
    ['a bare word', 'dev', 'agent.yaml:1: (top): Invalid input: expected object, received string'],
    ['a merge key, which YAML 1.2 has not', `${GOOD}<<: { wait: 1s }`, 'agent.yaml:3: <<: unknown key'],
    ['a __proto__', `${GOOD}__proto__: { wait: 1s }`, 'agent.yaml:3: __proto__: unknown key'],
  ])('names %s', (_, text, mistake) => {
    expect(mistakes(text)).toContain(mistake);
  });

  test('that is empty lacks what is needed', () => {
    expect(mistakes('')).toEqual([
      'agent.yaml:1: env: missing: expected string',
      'agent.yaml:1: trust: missing: expected keys, or none',
    ]);
    expect(mistakes('# nothing yet\n')).toHaveLength(2);
  });
});

describe('what is no YAML', () => {
  test.each<[string, string, RegExp]>([
    [
      'an open bracket',
      'env: dev\ntrust: none\nhooks: [1, 2\nlevel: info\n',
      /^agent\.yaml:4: \(YAML\): .*\]/,
    ],
    [
      'a tab for indentation',
      'env: dev\ntrust:\n\tkeys: [a]\n',
      /^agent\.yaml:3: \(YAML\): Tabs are not allowed/,
    ],
    ['a key twice', 'env: dev\ntrust: none\nenv: stg\n', /^agent\.yaml:3: \(YAML\): Map keys must be unique/],
    [
      'a key twice, further in',
      `${GOOD}services:\n  a: { port: 1, dir: /a }\n  a: { port: 2, dir: /b }\n`,
      /^agent\.yaml:5: \(YAML\): Map keys must be unique/,
    ],
    [
      'two documents',
      'env: dev\ntrust: none\n---\nenv: stg\n',
      /^agent\.yaml:3: \(YAML\): .*multiple documents/,
    ],
    ['an alias of nothing', 'env: *nobody\ntrust: none\n', /\(YAML\): Unresolved alias .*nobody/],
  ])('%s is named, with its line where it has one', (_, text, mistake) => {
    expect(mistakes(text).join('\n')).toMatch(mistake);
  });

  test('aliases that would unfold into gigabytes are refused, at once', () => {
    const level = (name: string, of: string) => `${name}: &${name} [${Array(9).fill(of).join(', ')}]`;
    const names = 'abcdefghijk'.split('');
    const text = names.map((name, i) => level(name, i === 0 ? 'lol' : `*${names[i - 1]}`)).join('\n');
    const began = performance.now();
    expect(mistakes(text)).toEqual([
      'agent.yaml:1: (YAML): Excessive alias count indicates a resource exhaustion attack',
    ]);
    // What is not linear takes minutes; a loaded machine takes seconds.
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  test('brackets nested ten thousand deep are refused', () => {
    expect(mistakes(`env: ${'['.repeat(10_000)}${']'.repeat(10_000)}`)).not.toEqual([]);
  });

  test('whatever the text, the answer is a config or CONFIG_INVALID', () => {
    const token = fc.constantFrom(
      ...[
        'env',
        ': ',
        '\n',
        '  ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        '&a',
        '*a',
        '!x',
        '|',
        '>',
        '"',
        "'",
        '#',
        '?',
        ',',
        '%',
        '---',
      ],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(token, fc.string({ maxLength: 3 })), { maxLength: 15 }), (tokens) => {
        expect(mistakes(tokens.join('')).length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('durations', () => {
  test.each<[string, number]>([
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(duration.parse(text)).toBe(ms);
  });

  test.each([
    '',
    '10',
    '10 s',
    '1.5s',
    '-1s',
    '1d',
    '1S',
    's',
    '1h30m',
    ' 1s',
    '1s\n',
    '1e3s',
    '٣s',
    '9999999999ms',
  ])('"%s" is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
    expect(duration.safeParse(text).success).toBe(false);
  });

  test.each([10, 0, null, true, ['1s']])('%s without a unit is refused', (value) => {
    const { error } = duration.safeParse(value);
    expect(error?.issues.map((issue) => issue.message)).toEqual([
      'expected a duration such as 500ms, 30s, 10m or 1h',
    ]);
  });

  test('one that no timer can wait for is refused, for it would be over at once', () => {
    expect(duration.safeParse('2147483s').success).toBe(true);
    expect(duration.safeParse('2147484s').success).toBe(false);
    expect(duration.safeParse('1000h').success).toBe(false);
  });
});
