import { describe, expect, test } from 'vitest';
import { notOnPage } from '../../../../../publisher/cli/on-page.ts';
import { environmentOf, parseCommandLine } from '../../../../../publisher/cli/parse.ts';
import { commandOf } from '../../../../../publisher/console/http/hint-command.ts';
import type { Command } from '../../../../../publisher/console/ports.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';

/** The parser of the terminal. */
async function parse(argv: readonly string[]): Promise<Command> {
  const options = { version: '1', columns: 100, knowsService: async () => true };
  const parsed = await parseCommandLine(argv, options);
  if (parsed.verb === 'print') throw new Error('help');
  return { env: environmentOf(parsed), notOnPage: notOnPage(parsed) } as Command;
}

describe('a hint becomes a command', () => {
  test.each([
    ['trigger-deploy unpause payments --env prd ends it', 'unpause payments --env prd'],
    ['trigger-deploy unpause --env prd, or pause again', 'unpause --env prd'],
    ['trigger-deploy unpause --env prd ends it', 'unpause --env prd'],
    [`trigger-deploy show ${ID} --env dev`, `show ${ID} --env dev`],
    [
      'trigger-deploy payments 1.4.2 --env dev --only i-0a1b2c3d',
      'payments 1.4.2 --env dev --only i-0a1b2c3d',
    ],
    ['trigger-deploy payments 1.4.2 --env prd deploys it and waits', 'payments 1.4.2 --env prd'],
    ['trigger-deploy rollback payments --env prd undoes it', 'rollback payments --env prd'],
    [
      'trigger-deploy status payments --env prd asks them; then roll back with --to',
      'status payments --env prd',
    ],
    [
      `if it died: trigger-deploy resume ${ID} --env prd --allow-missing 2 goes on`,
      `resume ${ID} --env prd --allow-missing 2`,
    ],
  ])('%s', async (hint, command) => {
    expect(await commandOf(hint, parse)).toEqual(command.split(' '));
  });
});

describe('a hint stays text', () => {
  test.each([
    undefined,
    'check the network',
    'trigger-deploy status SERVICE --env dev names them',
    'find out who wrote to the bucket, then deploy: trigger-deploy payments VERSION --env dev',
    'trigger-deploy history SERVICE lists deployments; --env selects the environment',
    'trigger-deploy doctor payments --repair --env dev sets the lock right',
    `trigger-deploy watch ${ID} --env dev follows it`,
    'trigger-deploy push payments 1.4.2 FILE',
    'trigger-deploy payments 1.4.2 --env dev$(id) now',
    'trigger-deploy keygen --rotate --check --env prd shows who trusts it',
  ])('%s', async (hint) => {
    expect(await commandOf(hint, parse)).toBeUndefined();
  });
});
