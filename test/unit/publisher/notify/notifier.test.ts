import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cancel } from '../../../../publisher/commands/cancel.ts';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../../../publisher/commands/pause.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import { notice } from '../../../../publisher/notify/notice.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import type { Session } from '../../../../publisher/session.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { type Notified, notifiedOn, paused, unpaused } from '../../../support/publisher/notified.ts';
import { never, openStage, type Stage } from '../../../support/publisher/stage.ts';
import { startWebhook, type Webhook } from '../../../support/publisher/webhook.ts';

let stage: Stage;
let events: string;
let webhook: Webhook;
let withNotifier: Notified['withNotifier'];
let notified: Notified['notified'];
beforeAll(async () => {
  stage = await openStage();
  ({ withNotifier, notified } = notifiedOn(stage));
  events = await tapped('deploy-events');
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await stage.publish('payments', version);
  const fails = ['accepted', 'preparing', 'switching', 'rolled-back'] as const;
  const succeeds = ['accepted', 'preparing', 'switching', 'succeeded'] as const;
  await stage.agent('i-1', ({ version }) => (version === '1.2.0' ? fails : succeeds));
});
afterAll(() => stage.close());
afterEach(() => webhook.close());

/** A topic with a queue behind it, of the same name, that keeps what is published. */
async function tapped(name: string): Promise<string> {
  const arn = stage.cloud.createTopic(name);
  const { sqs, sns, close } = clientsOf(stage.cloud);
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
  const { Attributes } = await sqs.send(asked);
  const statement = { Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  const raw = { RawMessageDelivery: 'true' };
  const endpoint = { Protocol: 'sqs', Endpoint: Attributes?.QueueArn };
  await sns.send(new SubscribeCommand({ TopicArn: arn, ...endpoint, Attributes: raw }));
  close();
  return arn;
}
const published = () => stage.cloud.messages('deploy-events').map((text) => notice.parse(JSON.parse(text)));

const options = (version: string): DeployOptions => ({
  ...{ service: 'payments', version, wait: true, timeoutMs: 20_000, allowMissing: 0, maxFailures: 0 },
  ...{ onFailure: 'rollback', strategy: { name: 'all' }, detach: never() },
});
const openWebhook = async () => {
  webhook = await startWebhook();
  return { webhook: { address: webhook.address } };
};
const ID = '[0-9A-HJKMNP-TV-Z]{26}';
const texts = () => webhook.texts.map((text) => text.replaceAll(new RegExp(ID, 'g'), 'ID'));

describe('a notice is sent', () => {
  it('for a start, a success and a failure with its reason, to the webhook and to the events topic', async () => {
    const notify = { ...(await openWebhook()), events };
    const { session, notifier } = await withNotifier(notify);
    const who = session.who;
    expect(await deploy(session, { ...options('1.1.0'), reason: 'fix <!channel> & more' })).toBe(0);
    expect(await deploy(session, options('1.2.0'))).toBe(1);
    expect(await notifier.close()).toBeUndefined();
    expect(texts()).toEqual([
      `payments 1.1.0 in dev started by ${who}: fix &lt;!channel&gt; &amp; more · ID`,
      expect.stringMatching(
        /^✓ payments 1\.1\.0 in dev succeeded: 1 of 1 succeeded; the desired state is 1\.1\.0 /,
      ),
      `payments 1.1.0 → 1.2.0 in dev started by ${who} · ID`,
      expect.stringMatching(
        /^✗ payments 1\.1\.0 → 1\.2\.0 in dev failed: 0 of 1 succeeded.*; the desired state stays 1\.1\.0/,
      ),
    ]);
    const types = published().map(({ type }) => type);
    expect(types).toEqual(['started', 'succeeded', 'started', 'failed']);
    expect(published()[0]).toMatchObject({ env: 'dev', by: who, reason: 'fix <!channel> & more' });
  });

  it('for a rollback, a pause and an unpause, and not for a watch', async () => {
    const notify = await openWebhook();
    await notified(notify, (session) => deploy(session, options('1.0.0')));
    const newest = (await (await stage.open()).record.deployments.newest('payments'))?.value.deployment ?? '';
    const before = webhook.texts.length;
    await notified(notify, (session) =>
      watch(session, { deployment: newest, timeoutMs: 5000, detach: never() }),
    );
    expect(webhook.texts).toHaveLength(before);
    const { service, wait, timeoutMs, allowMissing, detach } = options('');
    await notified(notify, (session) =>
      rollback(session, { service, wait, timeoutMs, allowMissing, detach, to: '1.1.0', reason: 'slow' }),
    );
    await notified(notify, paused);
    await notified(notify, paused);
    await notified(notify, unpaused);
    await notified(notify, (session) => pause(session, { reason: 'quarter end' }));
    await notified(notify, (session) => unpause(session, {}));
    expect(texts().slice(before)).toEqual([
      expect.stringMatching(/^payments 1\.0\.0 → 1\.1\.0 in dev \(rollback\) started by \S+: slow · ID$/),
      expect.stringMatching(
        /^↺ payments 1\.0\.0 → 1\.1\.0 in dev \(rollback\) rolled back: 1 of 1 succeeded/,
      ),
      expect.stringMatching(/^payments in dev ⏸ paused by \S+: audit$/),
      expect.stringMatching(/^payments in dev ▶ unpaused by \S+$/),
      expect.stringMatching(/^all of dev ⏸ paused by \S+: quarter end$/),
      expect.stringMatching(/^all of dev ▶ unpaused by \S+$/),
    ]);
  });

  it('for a canary that waits, with the command that confirms, for a publisher that exits, and for a resume', async () => {
    const notify = { ...(await openWebhook()), events };
    const gate = { name: 'rolling', canary: { count: 1 }, batch: { count: 1 }, gate: 'person' } as const;
    const strategy: Strategy = { ...gate, autoConfirmMs: undefined, pauseBetweenMs: 0 };
    const over = new AbortController();
    const build = { user: 'ci', host: 'jenkins', build: 'https://ci/job/7/' };
    const deploying = notified(notify, async (session) => {
      const from = { ...session, origin: build };
      return await deploy(from, { ...options('1.0.0'), strategy, detach: over.signal });
    });
    const waiting = await webhook.text((text) => text.includes('waits for confirmation'));
    const id = new RegExp(ID).exec(waiting)?.[0] ?? '';
    expect(waiting).toContain(`waits for confirmation: trigger-deploy confirm ${id} --env dev`);
    over.abort();
    await deploying;
    expect(webhook.texts.at(-1)).toContain(
      `is no longer followed: its publisher exited; trigger-deploy resume ${id} --env dev`,
    );
    const again = new AbortController();
    const resuming = notified(notify, (session) =>
      resume(session, { deployment: id, timeoutMs: 20_000, detach: again.signal }),
    );
    await webhook.text((text) => text.includes('resumed by'));
    again.abort();
    await resuming;
    const types = published().filter((one) => 'deployment' in one && one.deployment === id);
    expect(types.map(({ type }) => type)).toEqual(['started', 'waiting', 'left', 'resumed', 'left']);
  });

  it('for a cancelled deployment, and for one that another publisher settles', async () => {
    const notify = await openWebhook();
    const gate = { name: 'rolling', batch: { count: 1 }, gate: 'person' } as const;
    const strategy: Strategy = { ...gate, autoConfirmMs: undefined, pauseBetweenMs: 0 };
    const deploying = notified(notify, (session) => deploy(session, { ...options('1.0.0'), strategy }));
    const waiting = await webhook.text((text) =>
      text.includes('is prepared on all instances and waits for confirmation'),
    );
    await cancel(await stage.open(), { deployment: new RegExp(ID).exec(waiting)?.[0] ?? '' });
    await deploying;
    expect(webhook.texts.at(-1)).toMatch(/^– payments \S+ → 1\.0\.0 in dev cancelled: .*cancelled by /);

    await notified(notify, (session) => deploy(session, { ...options('1.0.0'), wait: false }));
    const left = webhook.texts.at(-1) ?? '';
    expect(left).toMatch(/^⚠ .* is no longer followed: .*; trigger-deploy watch /);
    const deployment = new RegExp(ID).exec(left)?.[0] ?? '';
    await notified(notify, (session) => watch(session, { deployment, timeoutMs: 10_000, detach: never() }));
    expect(webhook.texts.at(-1)).toMatch(/^✓ payments \S+ → 1\.0\.0 in dev succeeded: /);
  });

  it('for a publisher that ends with an error', async () => {
    const notify = await openWebhook();
    await notified(notify, async (session) => {
      const aws = { ...session.aws, sns: failing(session) };
      await deploy({ ...session, aws }, options('1.1.0'));
    });
    expect(texts().at(-1)).toMatch(
      /^⚠ payments .* is no longer followed: its publisher ended: cannot publish to .*; trigger-deploy watch ID/,
    );
  });
});

function failing({ aws }: Session): Session['aws']['sns'] {
  const send = async () => {
    throw Object.assign(new Error('no'), { name: 'AccessDenied' });
  };
  return Object.assign(Object.create(aws.sns), { send });
}

it('a deployment that fails on some instances has notices for the failure and for the rollback', async () => {
  const notify = await openWebhook();
  const other = await stage.agent('i-2', undefined, '1.1.0');
  await notified(notify, (session) => deploy(session, options('1.2.0')));
  expect(texts()).toEqual([
    expect.stringMatching(/ 1\.2\.0 in dev started by /),
    expect.stringMatching(/^✗ .* failed: 1 of 2 succeeded, .*; rolling back to \S+ /),
    expect.stringMatching(/ in dev \(rollback\) started by .*: 1\.2\.0 \(ID\) failed · ID$/),
    expect.stringMatching(/^↺ .* in dev \(rollback\) rolled back: 2 of 2 succeeded/),
  ]);
  await other.leave();
});

it('an events topic that does not exist is one warning', async () => {
  await openWebhook();
  // A policy names the topic of the config, which is another one here.
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'operator');
  const { unsent } = await notified({ events: `${events}-none` }, paused);
  vi.unstubAllEnvs();
  expect(unsent).toMatch(/^the "paused" notification was not sent to the events topic of dev: NotFound/);
  await notified({}, unpaused);
});

it('nothing is sent where notify is not configured', async () => {
  await openWebhook();
  const before = published().length;
  expect(await notified({}, paused)).toMatchObject({ unsent: undefined });
  await notified({}, unpaused);
  expect(published()).toHaveLength(before);
});
