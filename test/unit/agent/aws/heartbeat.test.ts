import { expect, test } from 'vitest';
import { createHeartbeat } from '../../../../agent/aws/heartbeat.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { keys, serviceName } from '../../../../shared/names.ts';
import { BUCKET, cloudAndAws, rejection } from '../../../support/aws/fixture.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';

async function heartbeatOf(instance: string) {
  const { cloud, aws } = await cloudAndAws();
  const userId = async () => userIdOf(instance);
  return { cloud, heartbeat: createHeartbeat({ aws, bucket: BUCKET, env: 'dev', instance, userId }) };
}

test('is one object, whose last write is the time of the heartbeat', async () => {
  const { cloud, heartbeat } = await heartbeatOf('i-0a');
  const key = keys.heartbeat('dev', userIdOf('i-0a'));
  cloud.putObject(BUCKET, key, '{}', new Date(0));
  await heartbeat.send(NEVER);
  expect(cloud.objects(BUCKET)).toEqual([key]);
  expect(Date.now() - (cloud.object(BUCKET, key)?.lastModified.getTime() ?? 0)).toBeLessThan(60_000);
});

test('has a key that a policy for instance records allows, and that belongs to no service', () => {
  const key = keys.heartbeat('dev', userIdOf('i-0a'));
  expect(key).toBe(keys.instance('dev', '-', userIdOf('i-0a')));
  expect(serviceName.safeParse('-').success).toBe(false);
});

test('that is refused says which object', async () => {
  const { cloud, heartbeat } = await heartbeatOf('i-0a');
  cloud.expireCredentials('session-i-0a');
  expect(await rejection(heartbeat.send(NEVER))).toMatchObject({
    code: 'AWS_DENIED',
    message: expect.stringContaining(keys.heartbeat('dev', userIdOf('i-0a'))),
  });
});
