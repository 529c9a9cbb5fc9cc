import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deploy } from '../../publisher/commands/deploy.ts';
import { openFleetLooks } from '../../publisher/console/looks/fleet-looks.ts';
import type { Environments } from '../../publisher/console/ports.ts';
import type { Clock } from '../../shared/clock.ts';
import { keys } from '../../shared/names.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { options } from '../support/publisher/deploy-fixture.ts';
import { openStage, type Stage } from '../support/publisher/stage.ts';

/** What looking costs, by the request log of the embedded cloud. The clock runs `FAST` times as fast. */

const FAST = 30;
const SERVICES = 50;
/** What CONSOLE allows 50 services in three environments, a minute. */
const MOST_A_MINUTE = 2400 / 3;

const fast: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now() * FAST,
  sleep: (ms, signal) => wait(ms / FAST, undefined, { signal }),
};

let stage: Stage;
let end: AbortController;
beforeEach(async () => {
  stage = await openStage();
  end = new AbortController();
});
afterEach(async () => {
  end.abort();
  await stage.close();
});

async function environments(): Promise<Environments> {
  const session = await stage.open(fast);
  return { names: async () => ['dev'], load: async () => session.env, look: async () => session };
}

/** Services with a free lock and an instance each. */
function fill(services: number): void {
  for (let n = 0; n < services; n += 1) {
    const service = `service-${n}`;
    const lock = { v: 1, nonce: `n${n}`, sequence: 1, owner: null };
    stage.cloud.putObject(stage.bucket, keys.lock('dev', service), JSON.stringify(lock));
    const about = {
      v: 1,
      env: 'dev',
      service,
      instance: 'i-1',
      version: '1.0.0',
      sequence: 1,
      pinned: false,
    };
    const record = { ...about, agentVersion: '0.1.0', at: new Date().toISOString() };
    stage.cloud.putObject(
      stage.bucket,
      keys.instance('dev', service, userIdOf('i-1')),
      JSON.stringify(record),
    );
  }
}

const asked = async (ms: number) => {
  const from = stage.cloud.requests.length;
  await wait(ms / FAST);
  return stage.cloud.requests.slice(from).map(({ operation }) => operation);
};

it('an open overview of 50 services stays within its third of 2,400 requests a minute, all of them reads', async () => {
  fill(SERVICES);
  const looks = openFleetLooks(await environments());
  await looks.overview()(() => undefined, end.signal);
  await wait(3000 / FAST);
  const found = await asked(60_000);
  expect(found.length).toBeLessThanOrEqual(MOST_A_MINUTE);
  expect(found.length).toBeGreaterThan(SERVICES);
  expect([...new Set(found)].sort()).toEqual(['GetObject', 'ListObjectsV2']);
});

it('pages of services open beside the overview add what only they show, and no second reader', async () => {
  fill(SERVICES);
  const looks = openFleetLooks(await environments());
  await looks.overview()(() => undefined, end.signal);
  await wait(3000 / FAST);
  for (let n = 0; n < 5; n += 1) await looks.service(`service-${n}`)(() => undefined, end.signal);
  const locks = async () => {
    const from = stage.cloud.requests.length;
    await wait(30_000 / FAST);
    const some = stage.cloud.requests.slice(from).filter(({ key }) => key === keys.lock('dev', 'service-3'));
    return some.length;
  };
  // Every 5 s, and once with everything else.
  expect(await locks()).toBeLessThanOrEqual(8);
});

it('once nobody looks any more there is no request', async () => {
  fill(3);
  const looks = openFleetLooks(await environments());
  await looks.overview()(() => undefined, end.signal);
  await looks.service('service-1')(() => undefined, end.signal);
  end.abort();
  // What was asked before has its answer.
  await wait(200);
  expect(await asked(60_000)).toEqual([]);
});

it('an instance whose record has not changed is not read again', async () => {
  fill(3);
  const looks = openFleetLooks(await environments());
  await looks.overview()(() => undefined, end.signal);
  const from = stage.cloud.requests.length;
  looks.refresh('dev');
  await wait(200_000 / FAST);
  const read = stage.cloud.requests.slice(from).filter(({ key }) => key?.includes('/instances/'));
  expect(read).toEqual([]);
});

it('what has changed is seen, however much is remembered', async () => {
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
  await stage.agent('i-1', undefined, '1.0.0');
  const looks = openFleetLooks(await environments());
  const subject = await looks.overview()(() => undefined, end.signal);
  for (const version of ['1.0.0', '1.1.0']) {
    expect(await deploy(await stage.open(), options({ version }))).toBe(0);
    await expect.poll(subject.snapshot).toMatchObject({ view: { cells: [{ desired: { version } }] } });
  }
});
