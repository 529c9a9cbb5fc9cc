import { expect, test } from 'vitest';
import { changed, EXAMPLE, mistakes, parse } from '../../support/agent/config-fixture.ts';

const withLifecycle = (text: string) => `lifecycle: ${text}\n${EXAMPLE}`;

test('without `lifecycle` nothing is watched', () => {
  expect(parse(EXAMPLE).lifecycle).toBeUndefined();
});

test('`lifecycle` may be empty: then a spot instance is watched', () => {
  expect(parse(withLifecycle('{}')).lifecycle).toEqual({ spot: true, within: 900_000 });
});

test('the group of an instance is watched on request, with hooks or without', () => {
  expect(parse(withLifecycle('{ autoScaling: {} }')).lifecycle?.autoScaling).toEqual({
    launchWithin: 1_800_000,
    onFailedLaunch: 'wait',
  });
  const hooks = '{ group: web, terminateHook: drain, launchHook: a/ready-1_2, onFailedLaunch: abandon }';
  expect(parse(withLifecycle(`{ within: 5m, autoScaling: ${hooks} }`)).lifecycle).toMatchObject({
    within: 300_000,
    autoScaling: {
      group: 'web',
      terminateHook: 'drain',
      launchHook: 'a/ready-1_2',
      onFailedLaunch: 'abandon',
    },
  });
});

test.each(['"a b"', '"../x?"', '""', `"${'x'.repeat(256)}"`])('a hook named %s is refused', (name) => {
  expect(mistakes(withLifecycle(`{ autoScaling: { launchHook: ${name} } }`)).join()).toContain(
    'expected the name of a lifecycle hook',
  );
});

test('hooks for the end of the instance are refused where nothing announces it', () => {
  const text = changed('beforeStop:', 'onTerminate:');
  expect(mistakes(text).join()).toContain('add `lifecycle: {}`');
  expect(
    parse(withLifecycle('{}').replace('beforeStop:', 'onTerminate:')).services.payments?.hooks,
  ).toMatchObject({
    onTerminate: [{ run: ['/usr/local/bin/drain', 'payments'] }],
  });
});
