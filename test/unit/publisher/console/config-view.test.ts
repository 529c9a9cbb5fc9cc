import { expect, test } from 'vitest';
import type { Environment } from '../../../../publisher/config/load.ts';
import { environmentView, inOrder } from '../../../../publisher/console/config-view.ts';

const ENV: Environment = {
  ...{ name: 'prd', region: 'eu-west-1', topic: 'arn:topic', bucket: 'acme', pathStyle: false, trust: [] },
  ...{ signingKey: '/keys/ci.key.json', requires: 'dev', confirm: 'person', role: 'arn:role' },
  notify: { webhook: { address: 'https://hooks.example.com/secret' } },
  services: { payments: { canary: 1, timeout: '10m', verify: { run: ['verify', '--token', 'secret'] } } },
};

test('the page gets of an environment what a dialog shows, and nothing else', () => {
  expect(environmentView(ENV, false)).toEqual({
    ...{ name: 'prd', requires: 'dev', confirm: 'person', canSign: true },
    services: { payments: { canary: 1, timeout: '10m' } },
  });
});

test('without a key, and with --read-only, the page knows that nothing can be signed', () => {
  expect(environmentView(ENV, true).canSign).toBe(false);
  expect(environmentView({ ...ENV, signingKey: undefined }, false).canSign).toBe(false);
});

test('an environment stands behind the one that it requires, also where two require each other', () => {
  const names = (all: { name: string; requires?: string }[]) => inOrder(all).map(({ name }) => name);
  const three = [{ name: 'prd', requires: 'stg' }, { name: 'stg', requires: 'dev' }, { name: 'dev' }];
  expect(names(three)).toEqual(['dev', 'stg', 'prd']);
  expect(
    names([
      { name: 'a', requires: 'b' },
      { name: 'b', requires: 'a' },
    ]).sort(),
  ).toEqual(['a', 'b']);
});
