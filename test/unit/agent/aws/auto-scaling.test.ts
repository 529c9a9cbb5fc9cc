import { expect, onTestFinished, test, vi } from 'vitest';
import { createLifecycleActions } from '../../../../agent/aws/auto-scaling.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { createAws } from '../../../../shared/aws.ts';
import { rejection } from '../../../support/aws/fixture.ts';
import { startFakeAutoScaling } from '../../../support/cloud/fake-auto-scaling.ts';

const ME = 'i-0a1';
const HOOK = 'drain';

async function world(group?: string) {
  const asg = await startFakeAutoScaling();
  const credentials = {
    AWS_ACCESS_KEY_ID: 'session-i-0a',
    AWS_SECRET_ACCESS_KEY: 'anything',
    AWS_PROFILE: '',
  };
  for (const [name, value] of Object.entries({ ...asg.env, ...credentials })) vi.stubEnv(name, value);
  const aws = createAws({ region: 'eu-west-1' });
  onTestFinished(async () => {
    aws.close();
    vi.unstubAllEnvs();
    await asg.stop();
  });
  return { asg, actions: createLifecycleActions({ aws, instance: ME, group }) };
}

test('a waiting action is kept by heartbeats and completed once; the group is asked for once', async () => {
  const { asg, actions } = await world();
  asg.join(ME, 'web');
  asg.wait(ME, HOOK);
  expect(await actions.heartbeat(HOOK, NEVER)).toBe('done');
  expect(asg.resultOf(ME, HOOK)).toBeUndefined();
  expect(await actions.complete(HOOK, 'CONTINUE', NEVER)).toBe('done');
  expect(asg.resultOf(ME, HOOK)).toBe('CONTINUE');
  expect(await actions.complete(HOOK, 'ABANDON', NEVER)).toBe('over');
  expect(asg.resultOf(ME, HOOK)).toBe('CONTINUE');
  expect(asg.calls.map(({ action }) => action)).toEqual([
    'DescribeAutoScalingInstances',
    'RecordLifecycleActionHeartbeat',
    'CompleteLifecycleAction',
    'CompleteLifecycleAction',
  ]);
});

test('the group of the config is not asked for', async () => {
  const { asg, actions } = await world('web');
  asg.join(ME, 'web');
  asg.wait(ME, HOOK);
  expect(await actions.complete(HOOK, 'ABANDON', NEVER)).toBe('done');
  expect(asg.calls.map(({ action }) => action)).toEqual(['CompleteLifecycleAction']);
});

test('an action that has timed out is over, and so is that of an instance in no group', async () => {
  const { asg, actions } = await world();
  expect(await actions.heartbeat(HOOK, NEVER)).toBe('over');
  asg.join(ME, 'web');
  asg.wait(ME, HOOK, 0);
  expect(await actions.complete(HOOK, 'CONTINUE', NEVER)).toBe('over');
  expect(asg.resultOf(ME, HOOK)).toBe('timed out');
});

test('the wrong group and a missing permission are errors', async () => {
  const { asg, actions } = await world('other');
  asg.join(ME, 'web');
  asg.wait(ME, HOOK);
  expect(await rejection(actions.complete(HOOK, 'CONTINUE', NEVER))).toMatchObject({
    message: expect.stringContaining(`cannot complete the lifecycle action of ${HOOK}`),
  });
  asg.fail('RecordLifecycleActionHeartbeat', { status: 403, code: 'AccessDenied' });
  expect(await rejection(actions.heartbeat(HOOK, NEVER))).toMatchObject({ code: 'AWS_DENIED' });
});
