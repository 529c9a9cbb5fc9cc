import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../publisher/commands/deploy.ts';
import { pause } from '../../publisher/commands/pause.ts';
import type { LiveMessage, OverviewView, ServiceView } from '../../publisher/console/api.ts';
import { openFleetLooks } from '../../publisher/console/looks/fleet-looks.ts';
import type { Environments, OpenSubject } from '../../publisher/console/ports.ts';
import { createClock } from '../../shared/clock.ts';
import { options } from '../support/publisher/deploy-fixture.ts';
import { openStage, type Stage } from '../support/publisher/stage.ts';

/** The live subjects of the overview and of a service, over the embedded cloud. */

let stage: Stage;
let end: AbortController;
beforeEach(async () => {
  stage = await openStage();
  end = new AbortController();
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
});
afterEach(async () => {
  end.abort();
  await stage.close();
});

async function environments(more: Record<string, () => Promise<never>> = {}): Promise<Environments> {
  const session = await stage.open();
  const { dev = async () => session, ...others } = more;
  const all: Record<string, () => Promise<typeof session>> = { dev, ...others };
  return {
    names: async () => Object.keys(all),
    load: async () => session.env,
    look: async (name) => (await all[name]?.()) ?? session,
  };
}

async function look(open: OpenSubject) {
  const shown: LiveMessage[] = [];
  const subject = await open((message) => shown.push(message), end.signal);
  const cells = () => shown.flatMap((one) => (one.type === 'cells' ? one.cells : []));
  return { subject, shown, cells };
}

describe('the overview', () => {
  it('has a cell for each service, and tells of a deployment and of a pause as they happen', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const looks = openFleetLooks(await environments());
    const { subject, cells, shown } = await look(looks.overview());
    const view = () => (subject.snapshot() as { view: OverviewView }).view;
    expect(view()).toMatchObject({
      environments: [{ env: 'dev', readAt: expect.any(Number) }],
      cells: [{ env: 'dev', service: 'payments', instances: 1, good: 0, drift: 0, queue: [] }],
    });
    expect(await deploy(await stage.open(), options({ version: '1.1.0' }))).toBe(0);
    await expect
      .poll(cells)
      .toContainEqual(
        expect.objectContaining({ desired: expect.objectContaining({ version: '1.1.0' }), drift: 1 }),
      );
    await pause(await stage.open(), { reason: 'freeze' });
    await expect
      .poll(() => shown)
      .toContainEqual(
        expect.objectContaining({
          environments: [expect.objectContaining({ pause: expect.objectContaining({ reason: 'freeze' }) })],
        }),
      );
    expect(view().cells[0]).toMatchObject({ pause: { scope: 'environment', reason: 'freeze' } });
  });

  it('shows the other environments when one cannot be read', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const broken = () => Promise.reject(new Error('no such profile'));
    const looks = openFleetLooks(await environments({ prd: broken }));
    const { subject } = await look(looks.overview());
    expect(subject.snapshot()).toMatchObject({
      view: {
        environments: [
          { env: 'dev', readAt: expect.any(Number) },
          { env: 'prd', trouble: { message: expect.stringContaining('no such profile') } },
        ],
        cells: [{ env: 'dev', service: 'payments' }],
      },
    });
  });

  it('changes no object, announces nothing and makes no queue', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    await deploy(await stage.open(), options({ version: '1.1.0' }));
    const from = stage.cloud.requests.length;
    const looks = openFleetLooks(await environments());
    await look(looks.overview());
    await look(looks.service('payments'));
    const asked = new Set(stage.cloud.requests.slice(from).map(({ operation }) => operation));
    expect(
      [...asked].filter((one) => !/^(Get|Head|List)Object/.test(one) && one !== 'ReceiveMessage'),
    ).toEqual([]);
  });
});

describe('the page of a service', () => {
  it('has a lane for each environment, with who holds the lock and what each instance runs', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    await deploy(await stage.open(), options({ version: '1.1.0' }));
    const looks = openFleetLooks(await environments());
    const { subject } = await look(looks.service('payments'));
    expect((subject.snapshot() as { view: ServiceView }).view.lanes).toMatchObject([
      {
        env: 'dev',
        desired: { version: '1.1.0' },
        inventory: [{ instance: 'i-1', version: '1.0.0', drift: true }],
      },
    ]);
  });
});

describe('the page of a service, further', () => {
  it('says why each action would be refused, what was pushed, and where a rollback would go', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const looks = openFleetLooks(await environments());
    const { subject } = await look(looks.service('payments'));
    const lane = () => (subject.snapshot() as { view: ServiceView }).view.lanes[0];
    expect(lane()?.obstacles).toMatchObject({
      restart: [{ code: 'SERVICE_NOT_FOUND' }],
      rollback: [{ code: 'NOTHING_TO_ROLL_BACK_TO' }],
    });
    expect(lane()?.obstacles.deploy).toBeUndefined();
    expect((subject.snapshot() as { view: ServiceView }).view.versions).toMatchObject([
      { version: expect.stringMatching(/^1\.[01]\.0$/), pushedBy: 'ci', places: [] },
      { pushedBy: 'ci' },
    ]);
    expect(await deploy(await stage.open(), options({ version: '1.0.0', reason: 'first' }))).toBe(0);
    expect(await deploy(await stage.open(), options({ version: '1.1.0', reason: 'second' }))).toBe(0);
    await pause(await stage.open(), { service: 'payments', reason: 'freeze' });
    looks.refresh('dev');
    await expect.poll(lane).toMatchObject({
      reason: 'second',
      rollbackTo: '1.0.0',
      obstacles: {
        deploy: [{ code: 'PAUSED' }],
        rollback: [{ code: 'PAUSED' }],
        restart: [{ code: 'PAUSED' }],
      },
    });
    const { versions } = (subject.snapshot() as { view: ServiceView }).view;
    expect(versions.map(({ version, places }) => [version, places[0]?.state]).sort()).toEqual([
      ['1.0.0', 'succeeded'],
      ['1.1.0', 'desired'],
    ]);
  });
});

describe('a page that begins to look at what is looked at already', () => {
  it('shows what was pushed, paused and deployed a moment before', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const looks = openFleetLooks(await environments());
    const { subject } = await look(looks.service('payments'));
    const view = () => (subject.snapshot() as { view: ServiceView }).view;
    await stage.publish('payments', '1.2.0');
    await pause(await stage.open(), { service: 'payments', reason: 'quarter end' });
    await expect
      .poll(async () => {
        await subject.freshen?.();
        return view();
      })
      .toMatchObject({
        versions: expect.arrayContaining([expect.objectContaining({ version: '1.2.0' })]),
        lanes: [{ pause: { reason: 'quarter end' } }],
      });
  });

  it('costs the same for 20 pages as for one, and nothing when the last read is fresh', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    let ahead = 0;
    const monotonic = () => performance.now() + ahead;
    const session = await stage.open({ ...createClock(Date.now), monotonic });
    const looks = openFleetLooks({ ...(await environments()), look: async () => session });
    const { subject } = await look(looks.service('payments'));
    const reads = async (pages: number) => {
      ahead += 2000;
      const from = stage.cloud.requests.length;
      await Promise.all(Array.from({ length: pages }, () => subject.freshen?.()));
      return stage.cloud.requests.length - from;
    };
    await reads(1);
    const one = await reads(1);
    expect(one).toBeGreaterThan(4);
    expect(await reads(20)).toBe(one);
    ahead -= 2000;
    expect(await reads(20)).toBe(0);
  });
});

describe('a roll call', () => {
  it('marks who did not answer as silent until it writes again; all who ask meanwhile get one answer', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const gone = await stage.agent('i-2', undefined, '1.0.0');
    await gone.leave();
    const looks = openFleetLooks(await environments());
    const { subject } = await look(looks.overview());
    const person = { name: 'ann', via: 'here', groups: [], isMachine: false };
    const [one, other] = await Promise.all([
      looks.rollCall('dev', person, end.signal),
      looks.rollCall('dev', person, end.signal),
    ]);
    expect(one).toMatchObject({ by: 'ann', asked: 2, answered: 1 });
    expect(other).toBe(one);
    expect(subject.snapshot()).toMatchObject({
      view: { environments: [{ rollCall: one }], cells: [{ instances: 2, silent: 1 }] },
    });
    expect(stage.cloud.requests.filter(({ operation }) => operation === 'Publish')).toHaveLength(1);
  });
});
