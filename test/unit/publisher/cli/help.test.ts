import { expect, it } from 'vitest';
import { parseCommandLine } from '../../../../publisher/cli/parse.ts';
import { NAMES, VERBS } from '../../../../publisher/cli/verbs.ts';
import { PACKAGE_TYPES } from '../../../../shared/package-types.ts';

async function help(line: string, columns = 110): Promise<string> {
  const answer = await parseCommandLine(line.split(' ').filter(Boolean), {
    ...{ version: '9.9.9', columns },
    knowsService: async () => false,
  });
  return answer.verb === 'print' ? String(answer.text) : expect.fail(`${line} is not answered with help`);
}

it('the help of the program has every command once, in one of four groups, with examples', async () => {
  const text = await help('--help');
  const groups = [...text.matchAll(/^(Deploy|Look|Decide|Set up):$/gm)].map(([, title]) => title);
  expect(groups).toEqual(['Deploy', 'Look', 'Decide', 'Set up']);
  for (const name of NAMES) {
    expect(text.match(new RegExp(`^ {2}${name} +[A-Z]`, 'gm'))).toHaveLength(1);
    expect(text.replace(/\s+/g, ' ')).toContain(VERBS[name].summary);
  }
  expect(text).toContain('Examples:\n  trigger-deploy payments 1.4.2 --env dev ');
  expect(text).toContain('trigger-deploy -- SERVICE VERSION');
});

it('no line of the help is wider than the terminal', async () => {
  for (const line of (await help('--help', 80)).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

it('the help of each command has its usage, its summary, its examples and the exit codes', async () => {
  for (const name of NAMES) {
    const text = await help(`${name} --help`);
    expect(text.startsWith(`trigger-deploy ${name} ${VERBS[name].usage}`.trim())).toBe(true);
    expect(text).toContain(`\n\n${VERBS[name].summary}\n`);
    expect(text).toContain('\nExamples:\n');
    expect(text).toContain('Exit codes: ');
  }
});

it('every optional value has its default in the help, and every duration an example with its unit', () => {
  const known = Object.values(VERBS).flatMap((row) => Object.entries(row.options));
  for (const [name, { kind, help, schema }] of known) {
    if (kind !== 'value' || !schema.safeParse(undefined).success || name === 'reason') continue;
    expect(`${name}: ${help}`).toMatch(/\(default: .*\)/);
  }
  for (const name of ['timeout', 'autoConfirm', 'pauseBetween', 'since']) {
    for (const [, { help }] of known.filter(([key]) => key === name))
      expect(help).toMatch(/such as \d+[smhd]/);
  }
});

it('the help of push names every type of package', async () => {
  const text = await help('push --help');
  for (const [type, file] of Object.entries(PACKAGE_TYPES)) {
    expect(text).toMatch(new RegExp(`^ {2}${type} +${file.slice(0, 20)}`, 'm'));
  }
});
