import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { status } from '../../../../publisher/commands/status.ts';
import type { Rolling } from '../../../../publisher/record/deployment-schema.ts';
import { statusLines } from '../../../../publisher/render/status.ts';
import { nextStep, type RollingRecord } from '../../../../publisher/rollout/next-step.ts';
import { settle } from '../../../../publisher/rollout/settle.ts';
import type { InstanceRecord, Report } from '../../../../shared/report.ts';
import type { State } from '../../../../shared/states.ts';
import { never, openStage, type Stage } from '../../../support/publisher/stage.ts';

/** Instances that are about to stop or to be terminated: they count neither as a success nor as a failure. */

const POLICY = { allowMissing: 0, maxFailures: 0, onFailure: 'rollback' as const, timeoutMs: 600_000 };
const LEAVING = { code: 'INSTANCE_TERMINATING', message: 'spot-terminate' };

/** Reports by instance; one in capitals ended because its instance is being terminated. */
function said(states: Record<string, State | 'LEAVING' | 'LEFT IN THE SWITCH'>): Map<string, Report> {
  const entries = Object.entries(states).map(([instance, said]): [string, Report] => {
    const leaving =
      said === 'LEAVING' ? 'cancelled' : said === 'LEFT IN THE SWITCH' ? 'rolled-back' : undefined;
    const report: Report = {
      ...{ kind: 'report', v: 1, deployment: '01JDB200000000000000000000', env: 'dev', service: 'payments' },
      ...{ instance, sequence: 1, n: 0, at: '2026-01-01T00:00:00Z', version: '1.1.0', timings: {} },
      state: leaving ?? (said as State),
      ...(leaving && { error: LEAVING }),
    };
    return [instance, report];
  });
  return new Map(entries);
}

describe('settling', () => {
  const settled = (states: Parameters<typeof said>[0]) =>
    settle(
      {
        ...{ version: '1.1.0', previous: '1.0.0', action: 'deploy', desiredFirst: false },
        ...{ expected: Object.keys(states), policy: POLICY },
      },
      said(states),
      0,
    );

  test('one that is being terminated neither fails a deployment nor is waited for', () => {
    expect(settled({ a: 'succeeded', b: 'LEAVING', c: 'LEFT IN THE SWITCH' })).toMatchObject({
      ...{ outcome: 'succeeded', exitCode: 0, moveDesired: true, rollBack: false },
      text: '1 of 3 succeeded, 2 being terminated',
    });
  });

  test('a real failure beside it still counts', () => {
    expect(settled({ a: 'succeeded', b: 'LEAVING', c: 'rolled-back' })).toMatchObject({
      ...{ outcome: 'failed', exitCode: 1, rollBack: true },
      text: '1 of 3 succeeded, 1 rolled back, 1 being terminated',
    });
  });

  test('where all are being terminated nothing is proved, and the desired state stays', () => {
    expect(settled({ a: 'LEAVING' })).toMatchObject({
      outcome: 'timed-out',
      exitCode: 3,
      moveDesired: false,
    });
  });
});

describe('a rolling deployment', () => {
  const PREPARED = '2026-01-01T00:00:00Z';
  const rolling = (waves: Rolling['waves'], preparedAt?: string): RollingRecord => ({
    ...{ version: '1.1.0', previous: '1.0.0', action: 'deploy', desiredFirst: false },
    ...{ expected: waves.flatMap((wave) => wave.instances), policy: POLICY },
    rolling: {
      waves,
      gate: 'none',
      pauseBetweenMs: 0,
      failed: [],
      missing: [],
      ...(preparedAt && { preparedAt }),
    },
  });
  const step = (record: RollingRecord, states: Parameters<typeof said>[0]) =>
    nextStep(record, { now: Date.parse(PREPARED) + 1000, reports: said(states), sinceAnnounced: 1000 });
  const batch = (...instances: string[]) => ({ kind: 'batch' as const, instances });
  const canary = (...instances: string[]) => ({ kind: 'canary' as const, instances });

  test('goes on without those that are being terminated when the others have prepared', () => {
    const waves = [canary('a'), batch('b', 'c')];
    expect(step(rolling(waves), { a: 'LEAVING', b: 'prepared', c: 'prepared' })).toMatchObject({
      do: 'record',
      rolling: { waves: [canary('b'), batch('c')], failed: [], missing: [] },
    });
  });

  test('takes another canary if the canary is being terminated', () => {
    const announced = { ...canary('a'), announcedAt: PREPARED };
    expect(step(rolling([announced, batch('b', 'c')], PREPARED), { a: 'LEAVING' })).toEqual({
      do: 'record',
      rolling: expect.objectContaining({ waves: [canary('b'), batch('c')], failed: [], missing: [] }),
    });
  });

  test('passes a batch of which the only instance is being terminated, after another has succeeded', () => {
    const waves = [
      { ...canary('a'), announcedAt: PREPARED, passedAt: PREPARED },
      { ...batch('b'), announcedAt: PREPARED },
    ];
    expect(step(rolling(waves, PREPARED), { a: 'succeeded', b: 'LEFT IN THE SWITCH' })).toMatchObject({
      do: 'record',
      rolling: { failed: [], missing: [] },
    });
  });

  test('fails where nobody is left who could be the canary', () => {
    const announced = { ...canary('a'), announcedAt: PREPARED };
    expect(step(rolling([announced], PREPARED), { a: 'LEAVING' })).toMatchObject({
      do: 'end',
      settlement: { outcome: 'timed-out' },
    });
  });
});

describe('the fleet', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
    for (const version of ['1.0.0', '2.0.0']) await stage.publish('payments', version);
  });
  afterEach(() => stage.close());
  const notice: InstanceRecord['notice'] = {
    ...{ kind: 'spot-terminate', terminating: true, since: '2026-01-01T00:00:00.000Z' },
    at: '2026-01-01T00:02:00.000Z',
  };
  const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
    ...{ service: 'payments', version: '2.0.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
    ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
  });

  test('has instances that a deployment does not wait for, and that cannot be named', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    // It says nothing any more.
    await stage.agent('i-2', () => [], '1.0.0', { notice });
    const strategy = {
      ...{ name: 'rolling' as const, canary: undefined, batch: { count: 2 } },
      ...{ gate: 'none' as const, autoConfirmMs: undefined, pauseBetweenMs: 0 },
    };
    expect(await deploy(await stage.open(), options({ strategy }))).toBe(0);
    const session = await stage.open();
    expect((await session.record.deployments.newest('payments'))?.value.expected).toEqual(['i-1']);
    await expect(deploy(session, options({ only: ['i-2'] }))).rejects.toMatchObject({
      code: 'INSTANCE_NOT_FOUND',
      message: 'being terminated: i-2 (spot-terminate)',
    });
    const shown = statusLines(await status(session, { service: 'payments' }));
    expect(shown[1]).toContain('TERMINATING (spot-terminate at 2026-01-01T00:02:00Z)');
  });
});
