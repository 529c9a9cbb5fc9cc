import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Environment } from '../../../publisher/config/load.ts';
import { note, type PublisherEvent } from '../../../publisher/events.ts';
import { openRecord } from '../../../publisher/record/record.ts';
import { openSession, type Session } from '../../../publisher/session.ts';
import type { Clock } from '../../../shared/clock.ts';
import type { Artifact, Manifest } from '../../../shared/manifest.ts';
import { keys } from '../../../shared/names.ts';
import { generateKeys } from '../../../shared/signing.ts';
import { type Cloud, type CloudOptions, startCloud } from '../cloud/cloud.ts';
import type { RequestRecord } from '../cloud/requests.ts';
import { deploymentIn } from './announcements.ts';
import { FakeAgent, type Script } from './fake-agent.ts';

/** A cloud, an environment in it (`dev` when left out), and what a publisher needs there. */
export interface Stage {
  readonly cloud: Cloud;
  readonly bucket: string;
  readonly env: Environment;
  /** A new session, as one process has; its events are collected. */
  open(clock?: Clock): Promise<Session & { events: PublisherEvent[] }>;
  /** Writes a signed manifest to the bucket, without the artifact itself. */
  publish(service: string, version: string): Promise<Manifest>;
  /** An agent that plays `script` at each deploy; it has put its instance record. */
  agent(
    instance: string,
    script?: Script,
    running?: string | null,
    more?: Pick<ConstructorParameters<typeof FakeAgent>[0], 'unprepared' | 'zone' | 'tags' | 'notice'>,
  ): Promise<FakeAgent>;
  json(key: string): Record<string, unknown> | undefined;
  /** The deployment record at `key`, nothing verified. */
  deployment(key: string): Record<string, unknown> | undefined;
  close(): Promise<void>;
}

const artifacts: Artifact[] = [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' }];

interface StageOptions extends CloudOptions {
  /** The environment's name. */
  name?: string;
  /** Another stage whose cloud it shares; that one is closed last. */
  within?: Stage;
  /** More of the environment. */
  change?: Partial<Environment>;
}

/** The clouds of the stages that are open. */
const clouds = new Set<Cloud>();

/** An answer that takes longer is held back by a test, ms. */
const HELD_MS = 1000;

/** Whether the event only says that the cloud is slow, as it is on a busy machine. */
const isSlow = (event: PublisherEvent) =>
  event.type === 'note' && /^waiting for (S3|SNS|SQS) \(/.test(event.text);

/** Whether one of them is being asked for something that it answers at once. */
export const isAsked = () => {
  const since = Date.now() - HELD_MS;
  return [...clouds].some(({ requests }) => {
    // From the newest on: this is asked all the time, and a log has tens of thousands of requests.
    const held = requests.findLastIndex(({ at }) => at <= since);
    for (let index = requests.length - 1; index > held; index -= 1) {
      const { operation, status } = requests[index] as RequestRecord;
      if (status === undefined && operation !== 'ReceiveMessage') return true;
    }
    return false;
  });
};

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const { name = 'dev', within } = options;
  const cloud = within?.cloud ?? (await startCloud(options));
  clouds.add(cloud);
  const directory = await mkdtemp(join(tmpdir(), 'publisher-'));
  const signingKey = join(directory, 'ci.key.json');
  await writeFile(signingKey, JSON.stringify((await generateKeys()).privateJwk));
  const bucket = `deploys-${name}`;
  cloud.createBucket(bucket);
  const env: Environment = {
    name,
    region: cloud.region,
    topic: cloud.createTopic(`trigger-deploy-${name}`),
    bucket,
    pathStyle: true,
    signingKey,
    trust: [],
    services: {},
    ...options.change,
  };
  const load = async (other: string) => {
    if (other !== within?.env.name) throw new Error(`no environment ${other}`);
    return within.env;
  };
  Object.assign(process.env, cloud.env());
  const agents: FakeAgent[] = [];
  const sessions: Session[] = [];

  const open: Stage['open'] = async (clock) => {
    const events: PublisherEvent[] = [];
    const emit = (event: PublisherEvent) => {
      if (!isSlow(event)) events.push(event);
    };
    const signal = new AbortController().signal;
    const session = await openSession(env, { signal, emit, environment: {}, load });
    sessions.push(session);
    if (clock === undefined) return { ...session, events };
    const warn = (text: string) => note({ emit, clock }, text, 'warning');
    const record = openRecord({ ...session, warn, clock });
    return { ...session, clock, record, events };
  };

  return {
    cloud,
    bucket,
    env,
    open,
    async publish(service, version) {
      const session = await open();
      const pushedAt = new Date().toISOString();
      const manifest: Manifest = { v: 1, service, version, artifacts, pushedAt, pushedBy: 'ci', nonce: 'n' };
      const text = await (await session.signer()).sign('td-manifest+jws', manifest);
      cloud.putObject(bucket, keys.manifest(service, version), text);
      return manifest;
    },
    async agent(instance, script, running = null, more = {}) {
      const verifier = await (await open()).verifier();
      const about = { cloud, bucket, topic: env.topic, env: name, verifier };
      const agent = new FakeAgent({ ...about, ...more, instance, running, script });
      agents.push(agent);
      await agent.join();
      return agent;
    },
    json(key) {
      const found = cloud.object(bucket, key);
      return found && JSON.parse(found.body.toString());
    },
    deployment(key) {
      const found = cloud.object(bucket, key);
      return found && deploymentIn(found.body.toString());
    },
    async close() {
      for (const agent of agents) await agent.leave();
      for (const session of sessions) session.close();
      if (within === undefined) {
        clouds.delete(cloud);
        await cloud.stop();
      }
      await rm(directory, { recursive: true });
    },
  };
}

/** A clock that a test moves forward: a minute takes no time. */
export class HandClock implements Clock {
  #ahead = 0;
  #sleepers = new Set<{ due: number; wake: () => void }>();
  now = () => Date.now() + this.#ahead;
  monotonic = () => this.#ahead;

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { due: this.#ahead + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      });
    });
  }

  advance(ms: number): void {
    this.#ahead += ms;
    for (const sleeper of [...this.#sleepers].sort((a, b) => a.due - b.due)) {
      if (sleeper.due > this.#ahead) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  /**
   * Moves on by `step` ms at a time until `work` is done. Between two steps the cloud answers what it was asked, and
   * there are steps only while code sleeps: a slow machine does not make more time pass.
   */
  async during<T>(work: Promise<T>, step: number | (() => number) = 500): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    while (!done) {
      do await wait(5);
      while (isAsked());
      if (this.#sleepers.size > 0) this.advance(typeof step === 'number' ? step : step());
    }
    return await work;
  }
}

export const notes = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => (event.type === 'note' ? [event.text] : []));

export const never = () => new AbortController().signal;
