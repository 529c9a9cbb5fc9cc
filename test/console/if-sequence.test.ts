import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../publisher/commands/deploy.ts';
import { restart } from '../../publisher/commands/restart.ts';
import { rollback } from '../../publisher/commands/rollback.ts';
import { keys } from '../../shared/names.ts';
import { never, openStage, type Stage } from '../support/publisher/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await stage.publish('payments', version);
  await stage.agent('i-1');
});
afterEach(() => stage.close());

const options = (change: Partial<DeployOptions>): DeployOptions => ({
  ...{ service: 'payments', version: '1.0.0', wait: true, timeoutMs: 20_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
});
const deployed = async (change: Partial<DeployOptions>) => await deploy(await stage.open(), options(change));
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;
const changed = (who: string, version: string) => ({
  code: 'CHANGED',
  message: expect.stringMatching(new RegExp(`${who} set ${version} at .* ago \\((deploy|rollback) 01`)),
});

describe('what was seen is what is changed', () => {
  it('two people who saw the same deploy in the same second: one deploys, the other is told by whom', async () => {
    await deployed({ ifSequence: 0 });
    const seen = (await desired())?.sequence;
    const both = ['1.1.0', '1.2.0'].map((version) => deployed({ version, ifSequence: seen }));
    const ended = await Promise.allSettled(both);
    const refused = ended.filter((one) => one.status === 'rejected').map(({ reason }) => reason);
    const { who } = await stage.open();
    expect(ended.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(refused).toEqual([expect.objectContaining({ message: expect.stringContaining(who) })]);
    expect(['LOCKED', 'CHANGED']).toContain(refused[0].code);
  });

  it('the one who waited in the queue is refused by what happened meanwhile, and the lock is free again', async () => {
    await deployed({});
    const seen = (await desired())?.sequence;
    const first = deployed({ version: '1.1.0', ifSequence: seen });
    await expect
      .poll(async () => (await (await stage.open()).record.locks.look('payments')).state)
      .toBe('held');
    const second = deployed({ version: '1.2.0', ifSequence: seen, queueMode: 'queue' });
    const { who } = await stage.open();
    await expect(second).rejects.toMatchObject(changed(who, '1.1.0'));
    expect(await first).toBe(0);
    expect(stage.json(keys.lock('dev', 'payments'))).toMatchObject({ owner: null });
    expect((await desired())?.version).toBe('1.1.0');
  });

  it('rollback and restart are refused alike, and nothing is written', async () => {
    await deployed({});
    await deployed({ version: '1.1.0' });
    const before = await desired();
    const { who } = await stage.open();
    const stale = { ifSequence: (before?.sequence ?? 0) - 1 };
    for (const work of [restart, rollback]) {
      await expect(work(await stage.open(), options(stale))).rejects.toMatchObject(changed(who, '1.1.0'));
    }
    expect(await desired()).toEqual(before);
    expect(await rollback(await stage.open(), options({ ifSequence: before?.sequence ?? 0 }))).toBe(0);
  });

  it('a deployment that nobody settled is settled first: what it made is what was not seen', async () => {
    await deployed({});
    const seen = (await desired())?.sequence;
    const detach = new AbortController();
    const left = deployed({ version: '1.1.0', detach: detach.signal });
    const session = await stage.open();
    await expect
      .poll(async () => (await session.record.deployments.newest('payments'))?.value.version)
      .toBe('1.1.0');
    detach.abort();
    await left.catch(() => undefined);
    const now = await desired();
    // It may have ended before it was left.
    if (now?.version === '1.0.0') {
      await expect
        .poll(async () => {
          const { deployments } = session.record;
          const id = (await deployments.newest('payments'))?.value.deployment ?? '';
          return (await deployments.reports('payments', id)).map(({ state }) => state);
        })
        .toEqual(['succeeded']);
    }
    await expect(deployed({ version: '1.2.0', ifSequence: seen })).rejects.toMatchObject(
      changed(session.who, '1.1.0'),
    );
  });
});
