import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import {
  ListSubscriptionsByTopicCommand,
  SetSubscriptionAttributesCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { GetQueueUrlCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { expect, onTestFinished, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { deploy, push } from '../support/commands.ts';
import { BUCKET, ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { takeDenials } from '../support/iam/ledger.ts';
import { PUBLISHER } from '../support/programs.ts';

/** `doctor` and `check` as programs: an environment that `init` set up, then what is broken on purpose, mended by their hints. */

interface Finding {
  id: string;
  state: string;
  hint?: string;
}
const wrongOf = (findings: Finding[]) =>
  findings
    .filter(({ state }) => state === 'wrong')
    .map(({ id }) => id)
    .sort();

async function doctor(fleet: Fleet, ...more: string[]) {
  const { code, stdout } = await fleet.publisher('doctor', '--env', ENV, '--output', 'json', ...more);
  const findings = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding);
  return { code, findings, wrong: wrongOf(findings) };
}

test('both find nothing in an environment as init makes it; they find what is broken, and what they say mends it', async () => {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  const operator = async (...args: string[]) =>
    await fleet.start([PUBLISHER, ...args], {
      env: { ...fleet.env, AWS_ACCESS_KEY_ID: 'operator' },
      cwd: fleet.publisherDir,
    }).finished;
  expect(await operator('init', '--env', ENV, '--yes')).toMatchObject({ code: 0 });
  const instance = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');

  const check = async () => {
    const { code, stdout } = await fleet.runAgentCommand(instance, 'check', '--json');
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    return { code, findings, wrong: wrongOf(findings) };
  };
  const restartAgent = async () => {
    await fleet.stopAgent(instance);
    await fleet.startAgent(instance);
  };
  expect(await check()).toMatchObject({ code: 0, wrong: [] });
  expect(await doctor(fleet)).toMatchObject({ code: 0, wrong: [] });
  // A publisher may not list queues: left-over ones are unknown to it.
  onTestFinished(() => void takeDenials('publisher'));

  // What other tools, and people, do to an environment.
  const { s3, sns, sqs, close } = clientsOf(fleet.cloud, 'operator');
  onTestFinished(close);
  const listed = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: fleet.topicArn }));
  const SubscriptionArn = listed.Subscriptions?.[0]?.SubscriptionArn ?? '';
  const raw = { SubscriptionArn, AttributeName: 'RawMessageDelivery' };
  await sns.send(new SetSubscriptionAttributesCommand({ ...raw, AttributeValue: 'false' }));
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: agentQueueName(ENV, 'i-0a1') }));
  await sqs.send(
    new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy: '', SqsManagedSseEnabled: 'false' } }),
  );
  await s3.send(
    new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: 'Suspended' } }),
  );
  for (const kind of ['policy', 'encryption']) fleet.cloud.setBucketConfig(BUCKET, kind, undefined);
  const lock = keys.lock(ENV, 'payments');
  const whole = JSON.parse(fleet.cloud.object(BUCKET, lock)?.body.toString() ?? '{}') as object;
  fleet.cloud.putObject(BUCKET, lock, 'garbage');
  fleet.cloud.deleteObject(BUCKET, keys.desired(ENV, 'payments'));

  expect(await check()).toMatchObject({ code: 1, wrong: ['queue', 'queue-encryption', 'queue-policy'] });
  const first = await doctor(fleet);
  expect(first.code).toBe(1);
  expect(first.wrong).toEqual([
    'answers',
    'bucket-encryption',
    'bucket-policy',
    'bucket-versioning',
    'desired-state',
    'lock',
    'subscription-raw-delivery',
  ]);
  const hintOf = (id: string) => first.findings.find((one) => one.id === id)?.hint ?? '';

  await restartAgent();
  expect(await check()).toMatchObject({ code: 0, wrong: [] });
  expect(hintOf('bucket-policy')).toContain(`trigger-deploy init --env ${ENV} `);
  expect(await operator('init', '--env', ENV, '--yes')).toMatchObject({ code: 0 });
  const repair = /trigger-deploy (doctor .*?) sets it right/.exec(hintOf('lock'))?.[1]?.split(' ') ?? [];
  expect(await fleet.publisher(...repair)).toMatchObject({ code: 1 });
  expect((await doctor(fleet)).wrong).toEqual(['desired-state']);

  // What happens besides: a subscription goes, a publisher dies, and the clock of the machine is late.
  const again = (await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: fleet.topicArn })))
    .Subscriptions?.[0]?.SubscriptionArn;
  await sns.send(new UnsubscribeCommand({ SubscriptionArn: again }));
  const past = '2020-01-01T00:00:00Z';
  const owner = {
    ...{ id: '01JDB2Q0V7M3N8T5R9XKZC4W6H', who: 'nobody', pid: 1, host: 'h', command: 'deploy' },
    ...{ deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H', since: past, beat: past },
  };
  fleet.cloud.putObject(BUCKET, lock, JSON.stringify({ ...whole, owner }), new Date(Date.now() - 600_000));
  fleet.cloud.advanceClock(600_000);
  const second = await doctor(fleet);
  expect(second.wrong).toEqual(['answers', 'clock', 'desired-state', 'stale-lock', 'subscription']);
  expect(second.findings.find(({ id }) => id === 'clock')?.hint).toBe('timedatectl set-ntp true');

  fleet.cloud.advanceClock(-600_000);
  await restartAgent();
  await deploy(fleet, '1.0.0');
  expect(await doctor(fleet)).toMatchObject({ code: 0, wrong: [] });
});
