import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { agentQueueName, keys } from '../../shared/names.ts';
import { push } from '../support/commands.ts';
import { BUCKET, ENV, type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { type Program, PUBLISHER } from '../support/programs.ts';
import {
  announceByHand,
  announcementOf,
  deploymentIn,
  type Fields,
  forge,
  payloadOf,
  storedText,
  trustedKey,
} from '../support/publisher/announcements.ts';
import { type EventLine, eventsOf } from '../support/publisher/events.ts';
import { startWebhook, type Webhook } from '../support/publisher/webhook.ts';

/** Rollouts in waves by the real programs, and what the webhook is sent. Each test depends on those before it. */

let fleet: Fleet;
let instances: Instance[];
let webhook: Webhook;

beforeAll(async () => {
  [fleet, webhook] = await Promise.all([startFleet(), startWebhook()]);
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8'));
  config.environments.dev.notify = { webhookFile: 'webhook' };
  await writeFile(file, stringify(config));
  await writeFile(join(fleet.publisherDir, 'webhook'), `${webhook.address}\n`, { mode: 0o600 });
  const quick = (instance: Instance) => ({ payments: sampleService(instance, { watch: '0s' }) });
  instances = await Promise.all(['i-0a1', 'i-0b2', 'i-0c3'].map((id) => fleet.addInstance(id, quick)));
  await push(fleet, '1.0.0');
  // By the program, because the deploy of a test's own process sends no notices.
  const first = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
  await Promise.all([
    push(fleet, '1.1.0'),
    push(fleet, '1.2.0', { healthStatus: 500 }),
    push(fleet, '1.3.0'),
  ]);
});
afterAll(async () => {
  await fleet?.stop();
  await webhook?.close();
});

const services = () =>
  Promise.all(
    instances.map(async ({ port }) => {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
      return (await answer.json()) as { version: string; pid: number };
    }),
  );
const pids = async () => (await services()).map(({ pid }) => pid);
const versions = async () => (await services()).map(({ version }) => version);
const everywhere = (version: string) => [version, version, version];

type Wave = EventLine & { wave: number; kind: string; instances: string[] };
const wavesOf = (events: readonly EventLine[]) => events.filter((one): one is Wave => one.type === 'wave');
const rolling = (...args: string[]): Program =>
  fleet.startPublisher(...args, '--env', 'dev', '--output', 'json');
const IN_WAVES = ['--canary', '1', '--batch', '1'];
const idOf = async (program: Program) => {
  const started = await program.line((line) => line.includes('"type":"started"'));
  return (JSON.parse(started) as { deployment: string }).deployment;
};

test('canary and batches switch one after the other, all prepared before the first', async () => {
  const finished = await rolling('payments', '1.1.0', ...IN_WAVES).finished;
  expect(finished, finished.stdout + finished.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(await versions()).toEqual(everywhere('1.1.0'));
  const events = eventsOf(finished);
  const waves = wavesOf(events);
  expect(waves.map(({ kind }) => kind)).toEqual(['canary', 'batch', 'batch']);
  expect(waves.flatMap((one) => one.instances).toSorted()).toEqual(instances.map(({ id }) => id));
  const at = (instance: string | undefined, states: readonly string[]) =>
    events.findIndex(({ report }) => report?.instance === instance && states.includes(report?.state ?? ''));
  const first = events.findIndex(({ type }) => type === 'wave');
  for (const { id } of instances) expect(at(id, ['prepared'])).toBeLessThan(first);
  for (const [n, wave] of waves.entries()) {
    const next = waves[n + 1];
    if (next === undefined) continue;
    expect(at(wave.instances[0], ['succeeded'])).toBeLessThan(events.indexOf(next));
    expect(at(next.instances[0], ['draining', 'switching', 'starting'])).toBeGreaterThan(
      events.indexOf(next),
    );
  }
});

test('a bad version fails at the canary and is rolled back; the other instances are never stopped', async () => {
  const before = await pids();
  const finished = await rolling('payments', '1.2.0', ...IN_WAVES).finished;
  expect(finished.code).toBe(1);
  expect(await versions()).toEqual(everywhere('1.1.0'));
  const [canary, ...more] = wavesOf(eventsOf(finished));
  expect(more).toEqual([]);
  const after = await pids();
  const restarted = instances.filter((_, i) => before[i] !== after[i]).map(({ id }) => id);
  expect(restarted).toEqual(canary?.instances);
});

test('--confirm waits, and continues when it is confirmed from another machine', async () => {
  const deploying = rolling('payments', '1.3.0', ...IN_WAVES.slice(0, 2), '--batch', '2', '--confirm');
  const id = await idOf(deploying);
  await deploying.line((line) => line.includes('"type":"waiting"'));
  expect((await versions()).filter((version) => version === '1.3.0')).toHaveLength(1);
  const notice = await webhook.text((text) => text.includes('waits for confirmation'));
  expect(notice).toContain(`trigger-deploy confirm ${id} --env dev`);

  const elsewhere = join(fleet.dir, 'elsewhere');
  await mkdir(elsewhere);
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const argv = [PUBLISHER, 'confirm', id, '--env', 'dev', '--config-file', file, '--reason', 'looks good'];
  const confirmed = await fleet.start(argv, { env: fleet.env, cwd: elsewhere }).finished;
  expect(confirmed, confirmed.stderr).toMatchObject({ code: 0 });
  expect(await deploying.finished).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('1.3.0'));
});

test('a restart goes in waves as well, and changes no version', async () => {
  const before = await pids();
  const finished = await rolling('restart', 'payments', '--batch', '2').finished;
  expect(finished, finished.stdout + finished.stderr).toMatchObject({ code: 0 });
  expect(wavesOf(eventsOf(finished)).map((wave) => wave.instances.length)).toEqual([2, 1]);
  expect(await versions()).toEqual(everywhere('1.3.0'));
  const after = await pids();
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
});

test('a pause during a rollout stops it, and unpause continues it', async () => {
  const { deliveries } = fleet.cloud;
  // The first wave has not heard yet when it is paused: however long that takes to type, the second has not begun.
  deliveries.hold(({ via, body }) => via === 'sns' && payloadOf(body).kind === 'deploy');
  const deploying = rolling('payments', '1.1.0', ...['--batch', '2', '--pause-between', '1s']);
  const id = await idOf(deploying);
  await deploying.line((line) => line.includes('"type":"wave"'));
  const paused = await fleet.publisher('pause', 'payments', '--env', 'dev', '--reason', 'incident 4711');
  expect(paused, paused.stderr).toMatchObject({ code: 0 });
  await deploying.line((line) => line.includes('incident 4711; no further instance switches'));
  deliveries.release();
  const passedAt = () => {
    const { rolling: now } = deploymentIn(storedText(fleet, keys.deployment('dev', 'payments', id))) as {
      rolling: { waves: { passedAt?: string }[] };
    };
    return Date.parse(now.waves[0]?.passedAt ?? '');
  };
  // By now the next wave would have begun.
  await expect.poll(() => Date.now() - passedAt(), { timeout: 30_000 }).toBeGreaterThan(3000);
  expect((await versions()).toSorted()).toEqual(['1.1.0', '1.1.0', '1.3.0']);
  const refused = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(refused.code).toBe(4);
  const lifted = await fleet.publisher('unpause', 'payments', '--env', 'dev');
  expect(lifted, lifted.stderr).toMatchObject({ code: 0 });
  expect(await deploying.finished).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('1.1.0'));
});

test('the webhook got every notice in order, and its address appears in no output', async () => {
  const notices = webhook.texts.map((text) =>
    text.replace(/^[✓✗⏳] /, '').replace(/( by |: | and goes| and waits).*/, ''),
  );
  expect(notices).toEqual([
    ...['payments 1.0.0 in dev started', 'payments 1.0.0 in dev succeeded'],
    ...['payments 1.0.0 → 1.1.0 in dev started', 'payments 1.0.0 → 1.1.0 in dev succeeded'],
    ...['payments 1.1.0 → 1.2.0 in dev started', 'payments 1.1.0 → 1.2.0 in dev failed'],
    'payments 1.1.0 → 1.3.0 in dev started',
    'payments 1.1.0 → 1.3.0 in dev has passed its canary',
    'payments 1.1.0 → 1.3.0 in dev succeeded',
    ...['payments 1.3.0 in dev (restart) started', 'payments 1.3.0 in dev (restart) succeeded'],
    'payments 1.3.0 → 1.1.0 in dev started',
    ...['payments in dev ⏸ paused', 'payments in dev ▶ unpaused'],
    'payments 1.3.0 → 1.1.0 in dev succeeded',
  ]);
  for (const key of fleet.cloud.objects(BUCKET, 'state/')) {
    expect(fleet.cloud.object(BUCKET, key)?.body.toString(), key).not.toContain(webhook.secret);
  }
});

test('an agent that was away while all prepared, and was passed over, ends on the new version by itself', async () => {
  const late = instances[2] as Instance;
  const key = await trustedKey(fleet);
  const desiredKey = keys.desired(ENV, 'payments');
  const before = payloadOf(storedText(fleet, desiredKey));
  const sequence = Number(before.sequence) + 100;
  const prepare = announcementOf(fleet, '1.3.0', { kind: 'prepare', sequence, targets: [late.id] });
  const text = forge({ key, payload: prepare });

  await fleet.stopAgent(late);
  const heard = announceByHand(fleet, late, text);
  await expect.poll(() => fleet.cloud.messages(agentQueueName(ENV, late.id))).toContain(text);
  await fleet.startAgent(late);
  await late.agent?.line((line) => line.includes('"msg":"prepared"'));
  await heard;
  expect(await fleet.ask(late)).toEqual({ status: 200, version: '1.1.0' });

  const { deployment, version, artifacts } = prepare;
  const desired: Fields = { ...before, deployment, sequence, version, artifacts, nonce: 'passed over' };
  const document = forge({ key, payload: desired, header: { typ: 'td-desired+jws' } });
  fleet.cloud.putObject(BUCKET, desiredKey, document);
  const converge = { ...announcementOf(fleet, '1.3.0'), kind: 'converge' };
  await announceByHand(fleet, late, forge({ key, payload: converge }));
  await late.agent?.line((line) => line.includes('"msg":"succeeded"'));
  expect(await fleet.ask(late)).toEqual({ status: 200, version: '1.3.0' });
});
