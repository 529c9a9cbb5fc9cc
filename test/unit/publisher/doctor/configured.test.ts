import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { examineConfigured } from '../../../../publisher/doctor/configured.ts';
import { collect } from '../../../../publisher/doctor/finding.ts';
import { examineKey } from '../../../../publisher/doctor/keys.ts';
import type { Session } from '../../../../publisher/session.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { startFakeCloudWatch } from '../../../support/cloud/fake-cloudwatch.ts';
import { startFakeEc2 } from '../../../support/cloud/fake-ec2.ts';
import { openStageForEach, stage } from '../../../support/publisher/deploy-fixture.ts';

/** What doctor finds about the things that the config names besides topic and bucket. */

openStageForEach();
beforeEach(() => void vi.stubEnv('AWS_MAX_ATTEMPTS', '1'));
afterEach(() => void vi.unstubAllEnvs());

const DENIED = { status: 403, code: 'AccessDenied' };
const reach = (env: Record<string, string>) => {
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith('AWS_ENDPOINT_URL')) vi.stubEnv(name, value);
  }
};

async function examine(change: Partial<Session['env']>) {
  const session = await stage.open();
  return await examineConfigured({ ...session, env: { ...session.env, ...change } }, []);
}

test('alarms that do not exist are wrong, each with its service; those that exist are counted', async () => {
  const cloudWatch = await startFakeCloudWatch();
  onTestFinished(() => cloudWatch.stop());
  reach(cloudWatch.env);
  cloudWatch.set('errors', 'OK');
  const services = { payments: { alarms: ['errors', 'gone'] } } as unknown as Session['env']['services'];
  expect(await examine({ services })).toMatchObject([
    {
      ...{ id: 'alarms', state: 'wrong', service: 'payments', what: expect.stringContaining('gone') },
      hint: expect.stringContaining('services.payments.alarms'),
    },
  ]);
  cloudWatch.set('gone', 'OK');
  expect(await examine({ services })).toMatchObject([{ id: 'alarms', state: 'ok', what: '2 alarms exist' }]);
});

test('alarms that may not be read are wrong, with the permission', async () => {
  const cloudWatch = await startFakeCloudWatch();
  onTestFinished(() => cloudWatch.stop());
  reach(cloudWatch.env);
  cloudWatch.fail(DENIED, 9);
  const services = { payments: { alarms: ['errors'] } } as unknown as Session['env']['services'];
  expect(await examine({ services })).toMatchObject([
    { id: 'alarms', state: 'wrong', hint: expect.stringContaining('cloudwatch:DescribeAlarms') },
  ]);
});

test('ec2: true is right where EC2 answers, and wrong, with the permission, where it is denied', async () => {
  const fake = await startFakeEc2();
  onTestFinished(() => fake.stop());
  reach(fake.env);
  expect(await examine({ ec2: true })).toMatchObject([{ id: 'ec2', state: 'ok' }]);
  fake.fail({ status: 403, code: 'UnauthorizedOperation' }, 9);
  expect(await examine({ ec2: true })).toMatchObject([
    { id: 'ec2', state: 'wrong', hint: expect.stringContaining('ec2:DescribeInstances') },
  ]);
});

test('a KMS key that is disabled is wrong, with what to do', async () => {
  const disabled = new TriggerDeployError('KEY_INVALID', 'the KMS key is disabled', { hint: 'enable it' });
  const signer = async () => {
    throw disabled;
  };
  const session = { ...(await stage.open()), signer };
  const found = await collect(session, 'signing-key', () => examineKey(session, []));
  expect(found).toEqual([
    { id: 'signing-key', state: 'wrong', what: 'the KMS key is disabled', hint: 'enable it' },
  ]);
});

test('of 5,000 instances that do not trust the key 20 are named, and the others counted', async () => {
  const instances = Array.from({ length: 5000 }, (_, i) => ({ instance: `i-${i}`, trusts: ['other'] }));
  const found = await examineKey(await stage.open(), instances as never);
  expect(found.filter(({ id }) => id === 'key-trust')).toHaveLength(21);
  expect(found.at(-1)?.what).toBe('4980 more instances do not trust the signing key');
});
