import { once } from 'node:events';
import pino from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { DesiredReader } from '../../../../agent/deploy/converge.ts';
import type { Reporter } from '../../../../agent/deploy/ports.ts';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { runAgent } from '../../../../agent/loop/agent.ts';
import type { Message } from '../../../../agent/loop/ports.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { newUlid } from '../../../../shared/names.ts';
import type { InstanceRecord, Reply } from '../../../../shared/report.ts';
import { trustNone } from '../../../../shared/signing.ts';
import { createFakePorts, IDENTITY, modelRunning, serviceConfig } from '../../../support/fleet/fake-ports.ts';
import { NO_HEARTBEAT } from '../../../support/fleet/no-heartbeat.ts';
import { NO_NOTIFIER } from '../../../support/fleet/no-notifier.ts';
import { NO_ORDERS } from '../../../support/fleet/no-orders.ts';

/** The agent's loop with its services and its queue in memory, and short pauses. */

interface World {
  /** What the agent has logged above debug: `error …`. */
  logged: string[];
  /** The last record put of each service. */
  records: Map<string, InstanceRecord>;
  /** The answers to a roll call for all services. */
  rollCall(): Promise<Reply>;
  stop(): Promise<void>;
}

interface Fittings {
  /** The services, each with what its `current` comes to. */
  services: Record<string, () => string | null>;
  desired?: DesiredReader;
  putInstance?: Reporter['putInstance'];
}

async function agentWith({ services, desired, putInstance }: Fittings): Promise<World> {
  const logged: string[] = [];
  const log = pino(
    { level: 'info', formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => void logged.push(`${JSON.parse(line).level} ${JSON.parse(line).msg}`) },
  );
  const records = new Map<string, InstanceRecord>();
  const answers = new Map<string, (reply: Reply) => void>();
  const reporter: Reporter = {
    progress: (reply) => void (reply.kind === 'roll-call' && answers.get(reply.rollCall)?.(reply)),
    deliver: async () => undefined,
    async putInstance(record, signal) {
      await putInstance?.(record, signal);
      records.set(record.service, record);
    },
  };
  const ports = createFakePorts(modelRunning('1.0.0'));
  const workers = await Promise.all(
    Object.entries(services).map(async ([name, current]) => {
      const own = createFakePorts(modelRunning('1.0.0'));
      const of = { ...own, reporter, package: { ...own.package, current: async () => current() } };
      const service = serviceConfig({ name });
      return [name, await openWorker({ service, ports: of, identity: IDENTITY, log })] as const;
    }),
  );
  const queue: Message[] = [];
  let arrived = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const running = runAgent(
    {
      identity: IDENTITY,
      workers: new Map(workers),
      inbox: {
        ensure: async () => undefined,
        resubscribe: async () => false,
        async receive() {
          await Promise.race([arrived.promise, stopped]);
          arrived = Promise.withResolvers();
          return queue.splice(0);
        },
        delete: async () => undefined,
      },
      local: NO_ORDERS,
      heartbeat: NO_HEARTBEAT,
      isQueueGone: () => false,
      verifier: trustNone(),
      desired: { known: () => undefined, read: async () => undefined, ...desired },
      changes: { read: async () => undefined },
      reporter,
      notifier: NO_NOTIFIER,
      clock: ports.clock,
      log,
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort(new TriggerDeployError('INTERRUPTED', 'stopped'));
    await running;
  };
  onTestFinished(stop);
  return {
    stop,
    logged,
    records,
    async rollCall() {
      const deployment = newUlid(Date.now());
      const answer = new Promise<Reply>((resolve) => answers.set(deployment, resolve));
      const at = (ms: number) => new Date(Date.now() + ms).toISOString();
      const said = { v: 1, kind: 'roll-call', deployment, env: IDENTITY.env, issuedBy: 'ci' };
      const body = announced({ ...said, issuedAt: at(0), expiresAt: at(60_000) });
      queue.push({ body, receiptHandle: deployment, sentAt: Date.now() });
      arrived.resolve();
      return await answer;
    },
  };
}

function announced(payload: object): string {
  const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${segment({ alg: 'EdDSA', kid: 'k', typ: 'td-announcement+jws' })}.${segment(payload)}.AAAA`;
}

const foreignLink = () => {
  throw new TriggerDeployError('RELEASE_CONFLICT', '/opt/orders/current is not a symbolic link');
};

test('a service whose current version is unknown keeps no record of another service back, and no roll call answer', async () => {
  const world = await agentWith({ services: { orders: foreignLink, payments: () => '1.0.0' } });
  const answer = await world.rollCall();
  expect(answer).toMatchObject({
    services: [
      { service: 'orders', version: null, active: true },
      { service: 'payments', version: '1.0.0', active: true },
    ],
  });
  await expect.poll(() => [...world.records.keys()]).toEqual(['orders', 'payments']);
});

test('the reason why the current version is unknown is logged once, and again when it changes or returns', async () => {
  let current: () => string | null = foreignLink;
  const world = await agentWith({ services: { orders: () => current() } });
  const errors = () => world.logged.filter((line) => line.startsWith('error '));
  const first = 'error the current version cannot be read: /opt/orders/current is not a symbolic link';
  for (let i = 0; i < 3; i += 1) await world.rollCall();
  expect(errors()).toEqual([first]);
  current = () => '1.0.0';
  await world.rollCall();
  current = foreignLink;
  for (let i = 0; i < 3; i += 1) await world.rollCall();
  expect(errors()).toEqual([first, first]);
});

test('a record that cannot be written does not keep the others from being written', async () => {
  const world = await agentWith({
    services: { orders: () => '1.0.0', payments: () => '1.0.0' },
    putInstance: async ({ service }) => {
      if (service === 'orders') throw new TriggerDeployError('AWS_DENIED', 'cannot write the record');
    },
  });
  await expect.poll(() => [...world.records.keys()]).toEqual(['payments']);
  await expect
    .poll(() => world.logged)
    .toContain('warn writing the instance record failed: cannot write the record');
});

test('an S3 that does not answer delays no announcement and no stop', async () => {
  const asked = vi.fn();
  const world = await agentWith({
    services: { payments: () => '1.0.0' },
    desired: {
      async read(service, signal) {
        asked(service);
        await once(signal, 'abort');
        throw signal.reason;
      },
    },
  });
  await expect.poll(() => asked.mock.calls.length).toBeGreaterThan(1);
  expect(await world.rollCall()).toMatchObject({ services: [{ service: 'payments', version: '1.0.0' }] });
  await world.stop();
  expect(world.logged).not.toContain('warn cannot read the desired state');
});
