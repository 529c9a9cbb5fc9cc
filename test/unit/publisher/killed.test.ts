import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../publisher/commands/deploy.ts';
import { rollback } from '../../../publisher/commands/rollback.ts';
import { watch } from '../../../publisher/commands/watch.ts';
import { STALE_MS } from '../../../publisher/lock.ts';
import type { Session } from '../../../publisher/session.ts';
import { keys } from '../../../shared/names.ts';
import { HandClock, never, openStage, type Stage } from './stage.ts';

/**
 * A publisher that dies at its n-th request to AWS, before or after it is carried out, for every n. What it
 * leaves must be readable and true, and the next publisher must come to a good end.
 */

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const options = (service: string, version: string): DeployOptions => ({
  ...{ service, version, wait: true, timeoutMs: 30_000, allowMissing: 0, maxFailures: 0 },
  ...{ onFailure: 'rollback' as const, detach: never() },
});

class Killed extends Error {
  override readonly name = 'Killed';
}

/** Every request from the n-th on fails, the n-th perhaps after it was carried out. Tells how many there were. */
function dieAt(session: Session, n: number, when: 'before' | 'after'): () => number {
  let count = 0;
  type Next = (args: unknown) => Promise<unknown>;
  const middleware = (next: Next) => async (args: unknown) => {
    count += 1;
    const mine = count;
    if (mine > n || (mine === n && when === 'before')) throw new Killed('killed');
    const result = await next(args);
    if (mine === n) throw new Killed('killed');
    return result;
  };
  const { s3, sns, sqs } = session.aws;
  const place = { step: 'initialize', name: 'killer' } as const;
  s3.middlewareStack.add(middleware as never, place);
  sns.middlewareStack.add(middleware as never, place);
  sqs.middlewareStack.add(middleware as never, place);
  return () => count;
}

/** Runs `work` in a publisher that dies at request `n`; true when it lived to the end. */
async function dying(n: number, when: 'before' | 'after', work: Work): Promise<boolean> {
  const clock = new HandClock();
  const session = await stage.open(clock);
  const requests = dieAt(session, n, when);
  await clock.during(work(session), 2000).catch(() => undefined);
  return requests() < n;
}
type Work = (session: Session) => Promise<unknown>;

/** A later publisher, to whom the dead one has been silent for a minute. */
async function later<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const clock = new HandClock();
  clock.advance(2 * STALE_MS);
  return await clock.during(work(await stage.open(clock)), 5000);
}

/** `story` for every n, each with a service of its own, until the publisher lives to the end of it. */
async function everyRequest(story: (n: number, service: string) => Promise<boolean>): Promise<void> {
  for (let n = 1; n < 100; n += 1) {
    const service = `service-${n}`;
    for (const version of ['1.0.0', '1.1.0']) await stage.publish(service, version);
    if (!(await story(n, service))) continue;
    expect(n).toBeGreaterThan(15);
    return;
  }
  throw new Error('it never came to an end');
}

const newest = async (service: string) =>
  (await (await stage.open()).ledger.deployments.newest(service))?.value;
const desired = async (service: string) => (await (await stage.open()).ledger.desired.read(service))?.value;

describe.each(['before', 'after'] as const)('killed %s it is carried out, at any request', (when) => {
  it('of a deploy: the next deploy succeeds and leaves nothing held', async () => {
    await stage.agent('i-1');
    await everyRequest(async (n, service) => {
      const lived = await dying(n, when, (session) => deploy(session, options(service, '1.0.0')));
      expect([undefined, '1.0.0']).toContain((await desired(service))?.version);
      expect(await later((session) => deploy(session, options(service, '1.1.0')))).toBe(0);
      expect(await desired(service)).toMatchObject({ version: '1.1.0' });
      expect(await newest(service)).toMatchObject({ version: '1.1.0', status: 'succeeded' });
      expect(stage.json(keys.lock('dev', service))?.owner).toBeNull();
      return lived;
    });
  }, 60_000);

  it('of a deploy that reached the agents: a watch settles it', async () => {
    const agent = await stage.agent('i-1');
    let settled = 0;
    await everyRequest(async (n, service) => {
      const lived = await dying(n, when, (session) => deploy(session, options(service, '1.0.0')));
      const record = await newest(service);
      if (!agent.heard.some((said) => said.kind === 'deploy' && said.service === service)) return lived;
      if (record === undefined) throw new Error('announced without a record');
      const watching = { deployment: record.deployment, timeoutMs: 10 * STALE_MS, detach: never() };
      expect(await later((session) => watch(session, watching))).toBe(0);
      expect(await newest(service)).toMatchObject({ status: 'succeeded' });
      expect(await desired(service)).toMatchObject({ version: '1.0.0', deployment: record.deployment });
      settled += 1;
      return lived;
    });
    expect(settled).toBeGreaterThan(5);
  }, 60_000);

  it('of a deploy that fails: a watch, or a rollback, brings everyone back', async () => {
    const runs = new Map<string, string>();
    for (const instance of ['i-1', 'i-2']) {
      await stage.agent(instance, ({ service, version }) => {
        if (version === '1.1.0' && instance === 'i-2') return ['accepted', 'rolled-back'];
        runs.set(`${service} ${instance}`, version);
        return ['accepted', 'succeeded'];
      });
    }
    await everyRequest(async (n, service) => {
      expect(await deploy(await stage.open(), { ...options(service, '1.0.0'), wait: false })).toBe(0);
      await expect.poll(() => runs.get(`${service} i-1`)).toBe('1.0.0');
      const lived = await dying(n, when, (session) => deploy(session, options(service, '1.1.0')));
      const record = await newest(service);
      if (record?.version === '1.1.0' && n % 2 === 0) {
        const watching = { deployment: record.deployment, timeoutMs: 10 * STALE_MS, detach: never() };
        await later((session) => watch(session, watching));
      }
      if (runs.get(`${service} i-1`) !== '1.0.0' || n % 2 === 1) {
        const back = { service, wait: true, timeoutMs: 30_000, allowMissing: 0, detach: never() };
        expect(await later((session) => rollback(session, { ...back, to: '1.0.0' }))).toBe(0);
      }
      await expect.poll(() => runs.get(`${service} i-1`)).toBe('1.0.0');
      expect(await desired(service)).toMatchObject({ version: '1.0.0' });
      return lived;
    });
  }, 90_000);
});
