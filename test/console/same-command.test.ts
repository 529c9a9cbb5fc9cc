import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Option, type Options, optionName } from '../../publisher/cli/option-kinds.ts';
import { parseCommandLine } from '../../publisher/cli/parse.ts';
import type { Row } from '../../publisher/cli/verb.ts';
import { isVerb, VERBS, type Verb } from '../../publisher/cli/verbs.ts';
import { argvOf, lackOf, verbOf } from '../../publisher/page/acts/act-command.ts';
import { ACTS, type ActForm, FLAGS, OPTIONS, VALUES } from '../../publisher/page/acts/act-form.ts';
import { serviceName, versionName } from '../../shared/names.ts';
import { shellLine } from '../../shared/shell-line.ts';

/**
 * A button of the page is a command line: what it runs, what it shows and what a person pastes into a shell are the same.
 * The dialogs are generated from the tables of the verbs, so a new option of a verb of the page is tried, too.
 */

const HOSTILE = [
  '--despite-pause',
  '-e',
  '--',
  "it's",
  '$(id)',
  '`id`',
  'a\nb',
  '\\',
  '*',
  '~',
  '!!',
  '"x"',
  "'x'",
];
const text = fc
  .oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), fc.constantFrom(...HOSTILE))
  // An argument of a program has no NUL.
  .map((some) => some.replaceAll('\0', '0'));
const reason = text.filter((some) => some.trim() !== '');
const service = fc
  .stringMatching(/^[a-z][a-z0-9_-]{0,20}$/)
  .filter((name) => serviceName.safeParse(name).success && !isVerb(name));
const version = fc
  .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+~-]{0,20}$/)
  .filter((name) => versionName.safeParse(name).success);
const anyTag = fc
  .tuple(
    text.filter((key) => !key.includes('=')),
    text,
  )
  .map(([key, value]) => `${key}=${value}`.replaceAll(/[\n\r\u2028\u2029]/g, ' '));
/** Most often the tag whose quotes the parser would take off. */
const tag = fc.oneof(anyTag, fc.constant('"x"="x"'));

const TYPED: Record<string, fc.Arbitrary<string>> = {
  ...{ service, version, reason },
  ...{ env: fc.constant('dev'), from: fc.constant('stg'), where: tag },
  instance: fc.stringMatching(/^i-[0-9a-f]{4,17}$/),
  only: fc.stringMatching(/^i-[0-9a-f]{4,17}$/),
};
/** What an option without an entry above takes: the first that its schema accepts. */
const COMMON = ['1', '25%', '10m', '2026-11-01', 'dev', '1.4.2', '01JDB2Q0V7M3N8T5R9XKZC4W6H'];

function typed(verb: Verb, key: string, option: Option): fc.Arbitrary<string> {
  if (key === 'to') return verb === 'promote' ? fc.constant('prd') : version;
  const own = TYPED[key];
  if (own !== undefined) return own;
  const words = Array.isArray(option.completes) ? option.completes : COMMON;
  const fitting = words.filter((word) => option.schema.safeParse(word).success);
  expect(fitting, `a value for ${optionName(key)} of ${verb}`).not.toEqual([]);
  return fc.constantFrom(...fitting);
}

/** What a dialog holds: a text, several, or whether a box is ticked; undefined for what is left as it is. */
type Values = Record<string, string | string[] | boolean | undefined>;

const NEVER = ['strategy', 'confirm', 'autoConfirm', 'noWait'];
const isOnPage = (key: string, { atTerminal, completes }: Option) =>
  !atTerminal && completes !== 'file' && completes !== 'directory' && !NEVER.includes(key);

/** `--strategy all`, `--confirm` and `--auto-confirm` exclude others: parse.test.ts tries them. */
function dialogs(verb: Verb): fc.Arbitrary<Values> {
  const row: Row = VERBS[verb];
  const options: Options = { ...row.options, ...(row.environment ? {} : { env: ENV }) };
  const entries = Object.entries(options).filter(([key, option]) => isOnPage(key, option));
  const fields = entries.map(([key, option]) => {
    if (option.kind === 'flag') return [key, fc.boolean()];
    const one = typed(verb, key, option);
    const some: fc.Arbitrary<string | string[]> =
      option.kind === 'list' ? fc.uniqueArray(one, { minLength: 1, maxLength: 3, selector }) : one;
    const isRequired = !option.schema.safeParse(undefined).success || NEEDED.includes(key);
    return [key, isRequired ? some : fc.option(some, { nil: undefined })];
  });
  return fc.record(Object.fromEntries(fields));
}
const ENV: Option = {
  kind: 'value',
  help: '',
  schema: VERBS.promote.options.from?.schema as Option['schema'],
};
/** Where `--jump` and the like may be ticked, a reason is given. */
const NEEDED = ['env', 'reason'];
/** A tag is named once. */
const selector = (one: string) => one.split('=')[0];

/** As the page makes it: each value as `--name=value`. */
function typedBy(verb: Verb, values: Values): string[] {
  const { options } = VERBS[verb] as Row;
  const isArgument = (key: string) => options[key]?.kind === 'argument';
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== false);
  const words = given.filter(([key]) => isArgument(key)).map(([, value]) => String(value));
  const rest = given
    .filter(([key]) => !isArgument(key))
    .flatMap(([key, value]) =>
      value === true ? [optionName(key)] : [value].flat().map((one) => `${optionName(key)}=${String(one)}`),
    );
  return [...(verb === 'deploy' ? [] : [verb]), ...words, ...rest];
}

const VERBS_OF_PAGE = (Object.entries(VERBS) as [Verb, Row][])
  .filter(([, row]) => row.onPage !== undefined)
  .map(([verb]) => verb);
const lines: string[][] = [];

test.each(VERBS_OF_PAGE)('what a dialog of %s types is what it says', async (verb) => {
  const { options } = VERBS[verb] as Row;
  const property = fc.asyncProperty(dialogs(verb), async (values) => {
    const argv = typedBy(verb, values);
    lines.push(argv);
    const parsed = await parseCommandLine(argv, { version: '', columns: 80, knowsService: async () => true });
    for (const [key, value] of Object.entries(values)) {
      const said = (options[key] ?? ENV).schema.parse(value);
      expect((parsed as Record<string, unknown>)[key], key).toEqual(said);
    }
    expect(parsed.verb).toBe(verb);
  });
  await fc.assert(property, { numRuns: 25 });
});

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const VALUE = { canary: '1', batch: '25%', 'auto-confirm': '10m', only: 'i-1, i-2', 'allow-missing': '2' };
/** A dialog of the page as a person filled it in. */
const forms: fc.Arbitrary<ActForm> = fc.constantFrom(...ACTS).chain((act) => {
  const names = fc.subarray([...OPTIONS[act]]);
  return fc
    .record({ service, reason: fc.option(reason, { nil: '' }), names, version })
    .map(({ names, ...given }) => ({
      ...given,
      ...{ act, env: 'prd', from: 'stg', deployment: ID },
      flags: new Set(FLAGS.filter((name) => names.includes(name) || (act !== 'confirm' && name === act))),
      values: Object.fromEntries(
        VALUES.filter((name) => names.includes(name)).map((name) => [name, VALUE[name]]),
      ),
    }));
});

test('what the page makes of a dialog is what the person filled in', async () => {
  const property = fc.asyncProperty(forms, async (form) => {
    fc.pre(lackOf(form) === undefined);
    const argv = argvOf(form, 41);
    lines.push(argv);
    const found = await parseCommandLine(argv, { version: '', columns: 80, knowsService: async () => true });
    const parsed: Record<string, unknown> = found;
    expect(parsed.verb).toBe(verbOf(form));
    expect(parsed[parsed.verb === 'promote' ? 'to' : 'env']).toBe('prd');
    const { options } = VERBS[verbOf(form) as Verb] as Row;
    if ('deployment' in options) expect(parsed.deployment).toBe(ID);
    else expect(parsed.service).toBe(form.service);
    if (parsed.verb === 'rollback') expect(parsed.to).toBe(form.version);
    else if ('version' in options) expect(parsed.version).toBe(form.version);
    if ('ifSequence' in options) expect(parsed.ifSequence).toBe(41);
    if ('reason' in options) expect(parsed.reason ?? '').toBe(form.reason.trim());
    for (const [key, { kind, schema }] of Object.entries(options)) {
      const name = optionName(key).slice(2) as keyof typeof VALUE;
      if (kind === 'flag' && FLAGS.some((one: string) => one === name)) {
        expect(parsed[key], key).toBe(form.flags.has(name as never));
      } else if (VALUES.includes(name)) {
        const text = form.values[name];
        expect(parsed[key], key).toEqual(schema.parse(name === 'only' ? text?.split(', ') : text));
      }
    }
  });
  await fc.assert(property, { numRuns: 100 });
});

test('what a dialog shows, sh reads back as what it types', () => {
  expect(lines.length).toBeGreaterThan(VERBS_OF_PAGE.length);
  const script = lines.map((argv) => `typed ${shellLine(argv)}`).join('\n');
  const typed = `typed() { printf '%s\\0' "$#" "$@"; }\n`;
  const { stdout, stderr, status } = spawnSync('sh', { input: typed + script, encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout.split('\0').slice(0, -1)).toEqual(lines.flatMap((argv) => [String(argv.length), ...argv]));
});
