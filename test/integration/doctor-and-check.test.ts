import {
  ListSubscriptionsByTopicCommand,
  SetSubscriptionAttributesCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { expect, onTestFinished, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { deploy, push } from '../support/commands.ts';
import { BUCKET, ENV, startFleet } from '../support/fleet/fleet.ts';

/** `doctor` and `check` as programs: a healthy environment, then what is broken on purpose, and mended by what they say. */

test('what is broken is found by both programs, and their commands mend it', async () => {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  const instance = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');

  const check = async () => {
    const { code, stdout } = await fleet.runAgentCommand(instance, 'check', '--json');
    const { findings } = JSON.parse(stdout) as { findings: { id: string; state: string; hint?: string }[] };
    return { code, findings, wrong: findings.filter(({ state }) => state === 'wrong') };
  };
  const doctor = async (...more: string[]) => {
    const done = await fleet.publisher('doctor', '--env', ENV, '--output', 'json', ...more);
    const lines = done.stdout.trim().split('\n');
    return lines.map((line) => JSON.parse(line) as { id: string; state: string; hint?: string });
  };
  const stateOf = (found: { id: string; state: string }[], id: string) =>
    found.filter((one) => one.id === id).map(({ state }) => state);

  const healthy = await check();
  expect(healthy.wrong).toEqual([]);
  expect(healthy.code).toBe(0);
  expect(healthy.findings.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['keys', 'queue', 'endpoint-sqs', 'clock', 'permission-too-much', 'drift']),
  );
  const first = await doctor('payments');
  for (const id of [
    'subscription',
    'lock',
    'stale-lock',
    'drift',
    'desired-state',
    'endpoint-s3',
    'key-trust',
  ]) {
    expect(
      stateOf(first, id).filter((state) => state !== 'ok'),
      id,
    ).toEqual([]);
  }

  const { sns, close } = clientsOf(fleet.cloud, 'operator');
  onTestFinished(close);
  const topic = fleet.topicArn;
  const listed = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: topic }));
  const SubscriptionArn = listed.Subscriptions?.[0]?.SubscriptionArn ?? '';
  const raw = { SubscriptionArn, AttributeName: 'RawMessageDelivery' };
  await sns.send(new SetSubscriptionAttributesCommand({ ...raw, AttributeValue: 'false' }));
  const dull = await check();
  expect(dull.code).toBe(1);
  expect(dull.wrong).toMatchObject([{ id: 'queue', hint: expect.stringContaining('restart the agent') }]);
  expect(stateOf(await doctor('payments'), 'subscription-raw-delivery')).toEqual(['wrong']);
  await fleet.stopAgent(instance);
  await fleet.startAgent(instance);
  expect((await check()).wrong).toEqual([]);

  await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
  expect(stateOf(await doctor('payments'), 'subscription')).toEqual(['wrong']);
  await fleet.stopAgent(instance);
  await fleet.startAgent(instance);
  expect(stateOf(await doctor('payments'), 'subscription')).toEqual(['ok']);

  const lock = keys.lock(ENV, 'payments');
  fleet.cloud.putObject(BUCKET, lock, 'garbage');
  const broken = (await doctor('payments')).find(({ id }) => id === 'lock');
  expect(broken).toMatchObject({ state: 'wrong', hint: expect.stringContaining('--repair') });
  expect(stateOf(await doctor('payments', '--repair'), 'lock')).toEqual(['repaired']);
  expect(stateOf(await doctor('payments'), 'lock')).toEqual(['ok']);

  fleet.cloud.deleteObject(BUCKET, keys.desired(ENV, 'payments'));
  expect(stateOf(await doctor('payments'), 'desired-state')).toEqual(['wrong']);
  await deploy(fleet, '1.0.0');
  expect(stateOf(await doctor('payments'), 'desired-state')).toEqual(['ok']);
});
