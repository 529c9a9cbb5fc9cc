import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { BUCKET, ENV, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import {
  announceByHand,
  announcementOf,
  forge,
  payloadOf,
  trustedKey,
} from '../support/publisher/announcements.ts';

/** Announcements that are signed as they should be, and come too late, again, or in the wrong order. */

let fleet: Fleet;
let instance: Instance;
let key: Awaited<ReturnType<typeof trustedKey>>;

beforeAll(async () => {
  fleet = await startFleet();
  await tap();
  instance = await fleet.addInstance('i-0a1', undefined, { logLevel: 'debug' });
  key = await trustedKey(fleet);
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await push(fleet, version);
  await deploy(fleet, '1.0.0');
  await deploy(fleet, '1.1.0');
});
afterAll(() => fleet?.stop());

/** A queue that hears what the agents hear, and keeps it. */
async function tap(): Promise<void> {
  const { sqs, sns, close } = clientsOf(fleet.cloud);
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'tap' }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  const statement = { Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  await sns.send(
    new SubscribeCommand({
      TopicArn: fleet.topicArn,
      Protocol: 'sqs',
      Endpoint: Attributes?.QueueArn,
      Attributes: { RawMessageDelivery: 'true' },
    }),
  );
  close();
}

/** The announcement of this version, as it was heard on the topic. */
function heard(version: string): string {
  const text = fleet.cloud.messages('tap').find((one) => {
    const said = payloadOf(one);
    return said.kind === 'deploy' && said.version === version;
  });
  if (text === undefined) throw new Error(`${version} was never announced`);
  return text;
}

/** What the instance has put into the record about a deployment. */
async function recorded(deployment: unknown): Promise<unknown> {
  const key = keys.report(ENV, 'payments', String(deployment), userIdOf(instance.id));
  await fleet.cloud.until(
    (request) => request.key === key && request.status === 200 && request.operation === 'PutObject',
  );
  return JSON.parse(fleet.cloud.object(BUCKET, key)?.body.toString() ?? '');
}

async function unchangedBy(work: () => Promise<void>): Promise<void> {
  const before = await snapshotOf(fleet, instance);
  await work();
  expect(await snapshotOf(fleet, instance)).toEqual(before);
}

/** The agent knows the deployment's end already: it repeats its answer, and that is all it does. */
async function replay(version: string): Promise<void> {
  await unchangedBy(async () => {
    const decided = nextLogged(instance, ({ decision }) => decision !== undefined);
    await announceByHand(fleet, instance, heard(version));
    expect(await decided).toMatchObject({
      deployment: payloadOf(heard(version)).deployment,
      decision: 'repeat',
    });
  });
}

/** What the agent makes of the deployment; `accepted` would be the wrong thing. */
const rejection = (id: unknown) =>
  nextLogged(instance, ({ deployment, msg }) => deployment === id && /^(rejected|accepted)/.test(msg));
const ago = (ms: number) => new Date(Date.now() - ms).toISOString();

test.each([
  ['expired a second ago', { issuedAt: ago(60_000), expiresAt: ago(1000) }],
  ['gives itself a day to live', { expiresAt: ago(-24 * 60 * 60 * 1000) }],
])('an announcement that %s is rejected, and the record says so', async (_title, times) => {
  const said = announcementOf(fleet, '1.0.0', times);
  await unchangedBy(async () => {
    const logged = rejection(said.deployment);
    await announceByHand(fleet, instance, forge({ key, payload: said }));
    expect(await logged).toMatchObject({ level: 'warn', code: 'EXPIRED' });
    expect(await recorded(said.deployment)).toMatchObject({ state: 'rejected', error: { code: 'EXPIRED' } });
  });
});

test('an announcement with the sequence of another deployment is rejected as a conflict', async () => {
  const { sequence } = payloadOf(heard('1.1.0'));
  const said = announcementOf(fleet, '1.0.0', { sequence });
  await unchangedBy(async () => {
    const logged = rejection(said.deployment);
    await announceByHand(fleet, instance, forge({ key, payload: said }));
    expect(await logged).toMatchObject({ level: 'warn', code: 'CONFLICT' });
    expect(await recorded(said.deployment)).toMatchObject({ state: 'rejected', error: { code: 'CONFLICT' } });
  });
});

test('an announcement that is replayed is answered, and deploys nothing', () => replay('1.0.0'));

test('an announcement that is replayed after a restart of the agent deploys nothing', async () => {
  await fleet.stopAgent(instance);
  await fleet.startAgent(instance);
  await replay('1.0.0');
  await replay('1.1.0');
});

test('an announcement that is replayed to an instance that came later is superseded there', async () => {
  const late = await fleet.addInstance('i-0b2');
  await late.agent?.line((line) => line.includes('"succeeded"'));
  const logged = nextLogged(late, ({ msg }) => msg.startsWith('superseded'));
  await announceByHand(fleet, late, heard('1.0.0'));
  expect(await logged).toMatchObject({ level: 'warn', code: 'SUPERSEDED' });
  expect(await fleet.ask(late)).toEqual({ status: 200, version: '1.1.0' });
});

test('of two announcements that arrive in the wrong order the newer is deployed, and the older is superseded', async () => {
  // For a minute after its start it does not look at the desired state by itself.
  await fleet.stopAgent(instance);
  await fleet.startAgent(instance);
  const queue = agentQueueName(ENV, instance.id);
  fleet.cloud.deliveries.hold((delivery) => delivery.queue === queue);
  for (const version of ['1.2.0', '1.3.0']) {
    const result = await fleet.publisher('payments', version, '--env', 'dev', '--no-wait');
    expect(result, result.stderr).toMatchObject({ code: 0 });
  }
  const newer = payloadOf(heard('1.3.0')).deployment;
  const ended = nextLogged(instance, ({ msg, deployment }) => msg === 'succeeded' && deployment === newer);
  fleet.cloud.deliveries.release('reversed');
  await ended;
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.3.0' });
  const { deployment } = payloadOf(heard('1.2.0'));
  expect(await recorded(deployment)).toMatchObject({ state: 'superseded', error: { code: 'SUPERSEDED' } });
});

test('after a restart of the agent the older of the two still is superseded', async () => {
  await fleet.stopAgent(instance, 'SIGKILL');
  await fleet.startAgent(instance);
  await replay('1.2.0');
});

test('after all of it the next deployment is as good as ever', async () => {
  await deploy(fleet, '1.1.0');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.0' });
});
