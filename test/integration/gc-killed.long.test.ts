import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { gc } from '../../publisher/commands/gc.ts';
import type { Session } from '../../publisher/session.ts';
import { agentQueueName, keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import {
  ec2,
  HOUR,
  LIVE,
  objects,
  openAs,
  openGcStage,
  run,
  stage,
} from '../support/publisher/gc-fixture.ts';
import { HandClock } from '../support/publisher/stage.ts';

/** `gc` that dies after each of its writes, and many queues. */

openGcStage();
const GONE = 'i-0000000e';
const WRITES = /^(DeleteQueue|Unsubscribe|DeleteObject|PutObject)Command$/;

async function fill(): Promise<void> {
  Object.assign(stage.env, { retention: { keepVersions: 3 } });
  for (const version of ['1.0', '1.1', '1.2', '1.3', '1.4']) {
    await stage.publish('payments', version);
    stage.cloud.putObject(stage.bucket, keys.artifact('payments', version, 'a'.repeat(64), 'app.jar'), 'jar');
  }
  await stage.agent(LIVE);
  await leftBehind(GONE);
  ec2.states.set(LIVE, 'running').set(GONE, 'terminated');
}

async function leftBehind(instance: string): Promise<void> {
  const aws = clientsOf(stage.cloud);
  const tags = { 'trigger-deploy:env': 'dev', 'trigger-deploy:instance': instance };
  await aws.sqs.send(new CreateQueueCommand({ QueueName: agentQueueName('dev', instance), tags }));
  const at = new Date(Date.now() - 72 * HOUR);
  stage.cloud.putObject(stage.bucket, keys.heartbeat('dev', userIdOf(instance)), '{}', at);
}

/** Runs `gc` until it has made `n` writes; nothing it sends after that arrives. Returns whether it got so far. */
async function dyingAfter(n: number): Promise<boolean> {
  const clock = new HandClock();
  clock.advance(2 * HOUR);
  const session = await openAs('gc', clock);
  const death = new AbortController();
  let writes = 0;
  const clients = [session.aws.s3, session.aws.sqs, session.aws.sns] as Session['aws']['s3'][];
  for (const client of clients) {
    client.middlewareStack.add(
      (next, context) => async (args) => {
        death.signal.throwIfAborted();
        const answer = await next(args);
        if (WRITES.test(String(context.commandName))) writes += 1;
        if (writes >= n) death.abort(new Error('killed'));
        return answer;
      },
      { step: 'initialize' },
    );
  }
  const mortal = { ...session, signal: death.signal };
  await clock.during(gc(mortal, { deletes: true }), 250).catch(() => undefined);
  return death.signal.aborted;
}

/** The lock of a publisher that died is free a minute later. */
function freeLock(): void {
  const key = keys.lock('dev', 'payments');
  const lock = stage.json(key);
  if (lock) stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...lock, owner: null }));
}

test('killed after each write and repeated, it ends where it would have ended, and no version is ever half there', async () => {
  await fill();
  let n = 1;
  for (; await dyingAfter(n); n += 1) {
    freeLock();
    const there = objects('artifacts/payments/').filter((key) => key.endsWith('manifest.jws'));
    for (const key of there) {
      const version = key.split('/')[2] ?? '';
      expect(objects(`artifacts/payments/${version}/`), version).toHaveLength(2);
    }
    expect(there.length).toBeGreaterThanOrEqual(3);
  }
  expect(n).toBeGreaterThan(3);
  await run({}, { later: 26 * HOUR });
  const versions = new Set(objects('artifacts/payments/').map((key) => key.split('/')[2]));
  expect([...versions]).toEqual(['1.2', '1.3', '1.4']);
  expect(stage.cloud.queues().filter((name) => !name.includes('-reply-'))).toEqual([
    agentQueueName('dev', LIVE),
  ]);
  expect(objects('state/').filter((key) => key.includes(GONE))).toEqual([]);
}, 120_000);

test('a thousand queues are deleted at no more than 50 calls a second, two of them at a time', async () => {
  await stage.agent(LIVE);
  ec2.states.set(LIVE, 'running');
  for (let i = 0; i < 1000; i += 1) {
    const instance = `i-${String(i + 100).padStart(8, '0')}`;
    await leftBehind(instance);
    ec2.states.set(instance, 'terminated');
  }
  const from = stage.cloud.requests.length;
  const clock = new HandClock();
  clock.advance(2 * HOUR);
  const began = clock.monotonic();
  const sessions = [await openAs('gc', clock), await openAs('gc', clock)];
  const work = Promise.all(sessions.map((session) => gc(session, { deletes: true, only: ['queues'] })));
  const answers = await clock.during(work, 250);
  const calls = stage.cloud.requests
    .slice(from)
    .filter(({ operation }) => /^(DeleteQueue|GetQueueAttributes|ListQueueTags|ListQueues)$/.test(operation));
  const seconds = (clock.monotonic() - began) / 1000;
  expect(calls.length / seconds).toBeLessThan(2 * 51);
  expect(answers.flatMap(({ problems }) => problems)).toEqual([]);
  expect(stage.cloud.queues()).toEqual([agentQueueName('dev', LIVE)]);
  expect(ec2.calls.every(({ named }) => named <= 200)).toBe(true);
}, 300_000);
