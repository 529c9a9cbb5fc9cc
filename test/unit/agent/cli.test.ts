import { expect, test } from 'vitest';
import { parseCommandLine } from '../../../agent/cli.ts';

const DEFAULT = '/etc/trigger-deploy/agent.yaml';
const parse = (...argv: string[]) =>
  parseCommandLine(argv, { version: '1.0.0', config: DEFAULT, shown: DEFAULT });

test.each([
  { argv: ['a-1.jar'], files: ['a-1.jar'], version: undefined },
  { argv: ['a-1.jar', 'app.yml'], files: ['a-1.jar', 'app.yml'], version: undefined },
  {
    argv: ['a.jar', '--version', '1.10', 'app.yml', '007'],
    files: ['a.jar', 'app.yml', '007'],
    version: '1.10',
  },
])('deploy takes every file, in order: $argv', async ({ argv, files, version }) => {
  const common = { config: DEFAULT, verbose: false, noWait: false };
  const expected = { command: 'deploy', service: 'payments', files, version, ...common };
  expect(await parse('deploy', 'payments', ...argv)).toEqual(expected);
});

test('of an option that is repeated the last value counts', async () => {
  const argv = [
    'rollback',
    'payments',
    '--version',
    '1',
    '--config',
    '/a',
    '--version',
    '2',
    '--config',
    '/b',
  ];
  expect(await parse(...argv, '--verbose', '--verbose', '--no-wait', '--no-wait')).toEqual({
    ...{ command: 'rollback', service: 'payments', version: '2', config: '/b' },
    ...{ noWait: true, verbose: true },
  });
  expect(await parse('status', '--json', '--json')).toMatchObject({ json: true, config: DEFAULT });
});
