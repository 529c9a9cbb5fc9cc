import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../../publisher/cli/parse.ts';
import { proved } from '../../../support/reliability.ts';

/** A misspelt, repeated or conflicting option never widens or moves the target: it is refused in one sentence. */

const parse = (words: readonly string[]) =>
  parseCommandLine(words, { version: '9.9.9', columns: 100, knowsService: async () => false });
const typed = (line: string) => line.split(' ').map((word) => (word === "''" ? '' : word));

describe('is refused in one sentence:', () => {
  it.each([
    ['--where stack=a --where stack=b', 'names the tag stack twice'],
    ['--where stack=a --where zone=c --where stack=a', 'names the tag stack twice'],
    ['--where stack=', '--where expected KEY=VALUE, found no value'],
    ['--where =a', '--where expected KEY=VALUE'],
    ["--where ''", '--where expected KEY=VALUE'],
    ['--where stack=a zone=b', 'too many arguments: zone=b'],
    ["--only ''", 'cannot be an instance'],
    ['--only=', '--only needs a value'],
    ['--only i-1,i-2', 'cannot be an instance'],
    ['--only i-1 i-2', 'too many arguments: i-2'],
    ['--onl i-1', 'unknown option: --onl'],
    ['-only i-1', 'unknown option: -o'],
    ['-- --only i-1', 'too many arguments: --only i-1'],
    ['--env dev --env prd', '--env is given more than once'],
    ['--id-file a --junit ./a', '--id-file and --junit name the same file: ./a'],
    ['-e dev --env prd', '--env is given more than once'],
    ["--env ''", 'cannot be an environment'],
    ...['0', '-1', '1e3', '0x10', 'NaN', '1.5', '101%', '0%', "''", '1,2'].flatMap((size): string[][] =>
      ['--canary', '--batch'].map((option) => [`${option} ${size}`, `${option} expected a number`]),
    ),
    ...['-1', '1e3', 'NaN', '0%', "''"].map((size) => [`--max-failures ${size}`, '--max-failures expected']),
    ...['-1', '25%', '1e1', "''"].map((count) => [`--allow-missing ${count}`, '--allow-missing expected']),
    ['--canary 1 --canary 2', '--canary is given more than once'],
    ['--strategy all --strategy rolling', '--strategy is given more than once'],
    ['--on-failure stop --on-failure rollback', '--on-failure is given more than once'],
    ...['--canary 1', '--batch 2', '--confirm', '--auto-confirm 1m', '--pause-between 1m'].map((option) => [
      `--strategy all ${option}`,
      `--strategy all and ${option.split(' ')[0]} cannot be combined`,
    ]),
    ['--confirm --auto-confirm 1m', '--confirm and --auto-confirm cannot be combined'],
    ['--confirm=no', '--confirm takes no value, found "no"'],
    ['--confirm false', '--confirm takes no value, found "false"'],
    ['--no-wait=maybe', '--no-wait takes no value, found "maybe"'],
    ['--no-canary', 'unknown option: --no-canary'],
    ['--version', '--version is not an option of deploy'],
    ['2', 'too many arguments: 2'],
  ] as [string, string][])('payments 1 %s', async (options, text) => {
    const parsing = parse(['payments', '1', ...typed(options)]);
    await expect(parsing).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(text) });
    await expect(parsing).rejects.not.toMatchObject({ message: expect.stringContaining('\n') });
    proved('options', 'options that are misspelt, repeated, conflicting, or without a sound value');
  });

  it.each([
    ['payments --version 1.4.2', '--version is not an option of deploy'],
    ['rollback payments --version 1.4.2', '--version is not an option of rollback'],
    ['keygen --kms alias/a --rotate -e dev', '--kms and --rotate cannot be combined'],
    ['keygen --check', '--check needs --rotate'],
    ['keygen --allow-missing 1', '--allow-missing needs --rotate'],
    ['keygen --rotate --to new.pub.json -e dev', '--to needs --rotate --check'],
    ['restart payments --where a=1 --where a=2', 'names the tag a twice'],
    ['plan payments 1 --strategy all --canary 1', '--strategy all and --canary cannot be combined'],
    ['push payments 1 a.jar --deploy dev --strategy all --batch 1', 'cannot be combined'],
    ['history payments --failed=false', '--failed takes no value'],
    ['-- payments 1 --confirm=yes', '--confirm takes no value'],
    ['-- payments 1 --confirm false', '--confirm takes no value'],
    ["pause '' --reason x", 'cannot be a service'],
    ["unpause ''", 'cannot be a service'],
    ["status ''", 'cannot be a service'],
  ])('%s', async (line, text) => {
    await expect(parse(typed(line))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(text),
    });
  });
});

it('tags with different keys must all be there, and an instance may be named twice', async () => {
  expect(await parse(typed('payments 1 --where stack=a --where zone=b --only i-1 --only i-1'))).toMatchObject(
    { where: { stack: 'a', zone: 'b' }, only: ['i-1', 'i-1'] },
  );
  expect(await parse(['status', '--version'])).toMatchObject({ verb: 'print', text: '9.9.9' });
});
