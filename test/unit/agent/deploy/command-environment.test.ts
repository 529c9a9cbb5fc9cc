import { expect, test } from 'vitest';
import { commandEnvironment } from '../../../../agent/deploy/command-environment.ts';

test('a command gets a variable with the prefix for each value that is given, and no other', () => {
  expect(commandEnvironment({ env: 'dev', service: 'payments', version: '1.4.2' })).toEqual({
    TRIGGER_DEPLOY_ENV: 'dev',
    TRIGGER_DEPLOY_SERVICE: 'payments',
    TRIGGER_DEPLOY_VERSION: '1.4.2',
  });
});

test('an empty value is set, so that a first deploy shows as an empty previous version', () => {
  expect(commandEnvironment({ previous: '' })).toEqual({ TRIGGER_DEPLOY_PREVIOUS: '' });
});
