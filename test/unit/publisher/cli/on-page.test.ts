import { describe, expect, test } from 'vitest';
import { notOnPage } from '../../../../publisher/cli/on-page.ts';
import { parseCommandLine } from '../../../../publisher/cli/parse.ts';
import { VERBS } from '../../../../publisher/cli/verbs.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';

async function refusalOf(typed: string): Promise<string | undefined> {
  const options = { version: '1', columns: 100, knowsService: async () => true };
  const parsed = await parseCommandLine(typed.split(' '), options);
  if (parsed.verb === 'print') throw new Error('help');
  return notOnPage(parsed);
}

describe('the page may run', () => {
  test.each([
    'payments 1.4.2 --env=dev --canary=1 --reason=why',
    'promote payments --from=dev --to=stg',
    'rollback payments --env=dev',
    'restart payments --env=dev',
    `confirm ${ID} --env=dev`,
    `cancel ${ID} --env=dev`,
    `resume ${ID} --env=dev`,
    'pause --env=dev --reason=why',
    'unpause payments --env=dev',
    'status --env=dev',
    `show ${ID} --env=dev`,
  ])('%s', async (typed) => {
    expect(await refusalOf(typed)).toBeUndefined();
  });
});

describe('the page may not run', () => {
  test.each([
    ['push payments 1.4.2 a.jar --env=dev', 'push is for the terminal'],
    ['push payments 1.4.2 a.jar --deploy=dev', 'push is for the terminal'],
    ['keygen', 'keygen is for the terminal'],
    ['gc --env=dev', 'gc is for the terminal'],
    ['doctor --repair --env=dev', 'doctor is for the terminal'],
    ['completion bash', 'completion is for the terminal'],
    [`watch ${ID} --env=dev`, 'watch is for the terminal'],
    ['status --all', '--all is for the terminal'],
    ['versions payments --all --env=dev', '--all is for the terminal'],
    ['payments 1.4.2 --env=dev --no-wait', '--no-wait is for the terminal'],
    ['payments 1.4.2 --env=dev --id-file=/tmp/a', '--id-file is for the terminal'],
    ['payments 1.4.2 --env=dev --junit=/tmp/a', '--junit is for the terminal'],
    ['payments 1.4.2 --env=dev --output=json', '--output is for the terminal'],
    ['payments 1.4.2 --env=dev --config-file=/etc/passwd', '--config-file is for the terminal'],
    ['promote payments --from=dev --to=stg --config=/etc/passwd', '--config is for the terminal'],
  ])('%s', async (typed, why) => {
    expect(await refusalOf(typed)).toBe(why);
  });
});

test('a verb is not for the page until its row says so', () => {
  const allowed = Object.entries(VERBS).filter(([, row]) => row.onPage !== undefined);
  expect(allowed.map(([verb]) => verb).sort()).toEqual(
    [
      'cancel',
      'confirm',
      'deploy',
      'history',
      'pause',
      'plan',
      'promote',
      'restart',
      'resume',
      'rollback',
    ].concat(['show', 'status', 'unpause', 'versions']),
  );
  // A console that cannot sign runs these alone: no other verb is sure to sign nothing.
  expect(allowed.filter(([, { onPage }]) => onPage === 'reads').map(([verb]) => verb)).toEqual([
    'history',
    'show',
    'versions',
  ]);
});
