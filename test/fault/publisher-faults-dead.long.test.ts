import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../publisher/commands/deploy.ts';
import { resume } from '../../publisher/commands/resume.ts';
import { rollback } from '../../publisher/commands/rollback.ts';
import { watch } from '../../publisher/commands/watch.ts';
import type { PublisherEvent } from '../../publisher/events.ts';
import { STALE_MS } from '../../publisher/record/lock-document.ts';
import type { Session } from '../../publisher/session.ts';
import { keys } from '../../shared/names.ts';
import type { FakeAgent, Script } from '../support/publisher/fake-agent.ts';
import { HandClock, never, openStage, type Stage } from '../support/publisher/stage.ts';

/**
 * A publisher that dies at its n-th request to AWS, for every n. The record that it leaves must be readable and true, and
 * the next publisher must succeed. Dying after request n was carried out, without its answer, is dying before request
 * n + 1.
 */

let stage: Stage;
let agents: FakeAgent[];
beforeEach(async () => {
  stage = await openStage();
  agents = [];
});
afterEach(async () => await stage.close());

const options = (service: string, version: string): DeployOptions => ({
  ...{ service, version, wait: true, timeoutMs: 10_000, allowMissing: 0, maxFailures: 0 },
  ...{ onFailure: 'rollback' as const, strategy: { name: 'all' } as const, detach: never() },
});

class Killed extends Error {
  override readonly name = 'Killed';
}

/** Every request from the n-th on fails. Returns how many there were. */
function dieAt({ aws }: Session, n: number): () => number {
  let count = 0;
  type Next = (args: unknown) => Promise<unknown>;
  const middleware = (next: Next) => async (args: unknown) => {
    count += 1;
    if (count >= n) throw new Killed('killed');
    return await next(args);
  };
  const place = { step: 'initialize', name: 'killer' } as const;
  aws.s3.middlewareStack.add(middleware as never, place);
  aws.sns.middlewareStack.add(middleware as never, place);
  aws.sqs.middlewareStack.add(middleware as never, place);
  return () => count;
}

type Work<T> = (session: Session) => Promise<T>;

/** Runs `work` in a publisher that dies at request `n`; true when it lived to the end. */
async function dying(n: number, work: Work<unknown>): Promise<boolean> {
  const clock = new HandClock();
  const session = await stage.open(clock);
  const requests = dieAt(session, n);
  await clock.during(work(session), pace(session.events)).catch(() => undefined);
  return requests() < n;
}

/** A later publisher, to whom the dead one has been silent for a minute. */
async function later<T>(work: Work<T>, known = 0): Promise<T> {
  const clock = new HandClock();
  clock.advance(2 * STALE_MS);
  // S3's own time of the lock decides.
  for (const key of stage.cloud.objects(stage.bucket, '')) {
    if (key.endsWith('/lock.json'))
      stage.cloud.object(stage.bucket, key)?.lastModified.setTime(Date.now() - 2 * STALE_MS);
  }
  const session = await stage.open(clock);
  return await clock.during(work(session), pace(session.events, known));
}

/** A minute is soon over, until more than `known` deployments have started: agents need real time to answer. */
function pace(events: readonly PublisherEvent[], known = 0): () => number {
  return () => (events.filter((event) => event.type === 'started').length > known ? 250 : 5000);
}

/** Both begin with the deployment they follow; only a rollback after it needs time. */
const laterWatch = (deployment: string, go: typeof watch | typeof resume = watch) =>
  later((session) => go(session, { deployment, timeoutMs: 10 * STALE_MS, detach: never() }), 1);

/** So many stories side by side: they mostly wait. */
const BATCH = 8;

/** `story` for every n, each with a service of its own, until the publisher lives to the end of it. */
async function everyRequest(
  from: number,
  story: (n: number, service: string) => Promise<boolean>,
): Promise<void> {
  const one = async (n: number) => {
    const service = `service-${n}`;
    for (const version of ['1.0.0', '1.1.0']) await stage.publish(service, version);
    for (const agent of agents) agent.record(service);
    return await story(n, service);
  };
  for (let first = from; first < 100; first += BATCH) {
    const lived = await Promise.all(Array.from({ length: BATCH }, (_, index) => one(first + index)));
    if (!lived.includes(true)) continue;
    expect(first).toBeGreaterThan(15);
    return;
  }
  throw new Error('it never came to an end');
}

const newest = async (service: string) =>
  (await (await stage.open()).record.deployments.newest(service))?.value;
const desired = async (service: string) => (await (await stage.open()).record.desired.read(service))?.value;

describe('killed at any request', () => {
  it('of a deploy: a watch settles what reached the agents, and the next deploy succeeds', async () => {
    const agent = await stage.agent('i-1');
    agents.push(agent);
    let settled = 0;
    await everyRequest(1, async (n, service) => {
      const lived = await dying(n, (session) => deploy(session, options(service, '1.0.0')));
      expect([undefined, '1.0.0']).toContain((await desired(service))?.version);
      const reached = agent.heard.some((said) => said.kind === 'deploy' && said.service === service);
      if (reached && n % 2 === 0) {
        const deployment = (await newest(service))?.deployment ?? 'announced without a record';
        expect(await laterWatch(deployment)).toBe(0);
        expect(await newest(service)).toMatchObject({ status: 'succeeded' });
        expect(await desired(service)).toMatchObject({ version: '1.0.0', deployment });
        settled += 1;
      }
      expect(await later((session) => deploy(session, options(service, '1.1.0')))).toBe(0);
      expect(await desired(service)).toMatchObject({ version: '1.1.0' });
      expect(await newest(service)).toMatchObject({ version: '1.1.0', status: 'succeeded' });
      expect(stage.json(keys.lock('dev', service))?.owner).toBeNull();
      return lived;
    });
    expect(settled).toBeGreaterThan(3);
  });

  it('of a deploy that fails: a watch, a resume, or a rollback brings all instances back', async () => {
    const runs = new Map<string, string>();
    /** Deaths after the verdict, before the end of the rollback. */
    let undone = 0;
    for (const instance of ['i-1', 'i-2']) {
      const script: Script = ({ service, version }) => {
        if (version === '1.1.0' && instance === 'i-2') return ['accepted', 'rolled-back'];
        runs.set(`${service} ${instance}`, version);
        return ['accepted', 'succeeded'];
      };
      agents.push(await stage.agent(instance, script));
    }
    // Before that it is as above.
    const announcing = 15;
    await everyRequest(announcing, async (n, service) => {
      expect(await deploy(await stage.open(), { ...options(service, '1.0.0'), wait: false })).toBe(0);
      await expect.poll(() => runs.get(`${service} i-1`)).toBe('1.0.0');
      const lived = await dying(n, (session) => deploy(session, options(service, '1.1.0')));
      const records = await (await stage.open()).record.deployments.list(service, 5);
      const failed = records.find((record) => record.version === '1.1.0');
      const left = records[0]?.status !== 'succeeded';
      if (failed?.status === 'failed' && left) undone += 1;
      const heard = agents[0]?.heard.some(
        (said) => 'version' in said && said.deployment === failed?.deployment,
      );
      // What is over has nothing to resume.
      const goOn = n % 3 === 0 ? watch : n % 3 === 1 && left ? resume : undefined;
      if (failed && goOn) expect(await laterWatch(failed.deployment, goOn)).toBe(heard ? 1 : 3);
      else {
        const back = { service, wait: true, timeoutMs: 30_000, allowMissing: 0, detach: never() };
        expect(await later((session) => rollback(session, { ...back, to: '1.0.0' }))).toBe(0);
      }
      await expect.poll(() => runs.get(`${service} i-1`)).toBe('1.0.0');
      expect(await desired(service)).toMatchObject({ version: '1.0.0' });
      return lived;
    });
    expect(undone).toBeGreaterThan(3);
  });
});
