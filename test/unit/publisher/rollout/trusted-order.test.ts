import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { DeploymentRecord, Rolling } from '../../../../publisher/record/deployment-schema.ts';
import { UNSETTLED } from '../../../../publisher/rollout/record-outcome.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { Report } from '../../../../shared/report.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import {
  deployed,
  deploysHeard,
  desired,
  openStageForEach,
  options,
  records,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never } from '../../../support/publisher/stage.ts';

/** Records that are signed, and must not be carried out all the same: their files were not pushed, or they are old. */

openStageForEach();

const EVIL = 'e'.repeat(64);
const refusal = { code: 'ARTIFACT_DIGEST_MISMATCH' };
const LOCK = keys.lock('dev', 'payments');
const ROLLING: Rolling = {
  ...{ gate: 'none', pauseBetweenMs: 0, failed: [], missing: [] },
  waves: [{ kind: 'canary', instances: ['i-1'] }],
};
let agent: FakeAgent | undefined;

/** Writes a signed record with `change` that follows the newest one; returns it. */
async function create(change: Partial<DeploymentRecord>): Promise<DeploymentRecord> {
  const { deployments } = (await stage.open()).record;
  const last = (await deployments.newest('payments'))?.value;
  if (last === undefined) throw new Error('no record');
  const { setDesired: _set, ...former } = last;
  const sequence = last.sequence + 1;
  const record = {
    ...{ ...former, ...UNSETTLED, version: '1.1.0', previous: '1.0.0' },
    ...{ deployment: newUlid(Date.now() + sequence * 1000), sequence },
    ...change,
  };
  stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify({ ...stage.json(LOCK), sequence }));
  return (await deployments.create(record as DeploymentRecord)).value;
}

/** As `create`, with files that were not pushed. */
async function forged(change: Partial<DeploymentRecord> = {}): Promise<DeploymentRecord> {
  [agent] = await deployed(undefined);
  const artifacts = (await records())[0]?.artifacts.map((one) => ({ ...one, sha256: EVIL }));
  return await create({ ...change, ...(artifacts && { artifacts }) });
}

/** The report that ends the deployment. */
function ends({ deployment, version, sequence }: DeploymentRecord, state: 'succeeded' | 'broken'): void {
  const report: Report = {
    ...{ kind: 'report', v: 1, deployment, env: 'dev', service: 'payments', instance: 'i-1', sequence },
    ...{ n: 9, at: new Date().toISOString(), state, version, timings: {} },
  };
  const key = keys.report('dev', 'payments', deployment, userIdOf('i-1'));
  stage.cloud.putObject(stage.bucket, key, JSON.stringify(report));
}

const nothingSigned = async () => {
  expect(JSON.stringify(await desired())).not.toContain(EVIL);
  expect(JSON.stringify(agent?.heard)).not.toContain(EVIL);
};
const watching = async ({ deployment }: DeploymentRecord) =>
  await watch(await stage.open(), { deployment, timeoutMs: 500, detach: never() });

describe('files that were not pushed', () => {
  it('are not signed by a watch, although all instances report success', async () => {
    const record = await forged();
    ends(record, 'succeeded');
    await expect(watching(record)).rejects.toMatchObject(refusal);
    await nothingSigned();
  });

  it('are not signed by the next deployment, which settles the one before', async () => {
    ends(await forged(), 'succeeded');
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject(refusal);
    await nothingSigned();
  });

  it('are not signed by a rollback that repeats a rollback', async () => {
    await forged({ action: 'rollback' });
    await expect(rollback(await stage.open(), options({ version: '' }))).rejects.toMatchObject(refusal);
    await nothingSigned();
  });

  it('are not signed by a watch that repeats a rollback', async () => {
    [agent] = await deployed(undefined);
    const [first] = await records();
    const undone = await create({ status: 'failed', exitCode: 1, outcome: 'failed', rollBackTo: '1.0.0' });
    await create({
      ...{ action: 'rollback', version: '1.0.0', previous: '1.1.0', rollbackOf: undone.deployment },
      artifacts: (first?.artifacts ?? []).map((one) => ({ ...one, sha256: EVIL })),
    });
    await expect(watching(undone)).rejects.toMatchObject(refusal);
    await nothingSigned();
  });

  it.each(['deploy', 'restart'] as const)('are not signed by a resume of a %s', async (action) => {
    const { deployment } = await forged({
      ...{ action, strategy: 'rolling', version: '1.0.0' },
      rolling: ROLLING,
    });
    const resuming = resume(await stage.open(), { deployment, timeoutMs: 2000, detach: never() });
    await expect(resuming).rejects.toMatchObject(refusal);
    await nothingSigned();
  });
});

describe('a record that is older than the desired state', () => {
  /** A later deployment set the desired state; its record was deleted. */
  async function overtaken(change: Partial<DeploymentRecord> = {}): Promise<DeploymentRecord> {
    [agent] = await deployed(undefined);
    const old = await create(change);
    const { artifacts, sequence } = await create({});
    const { deployments, desired } = (await stage.open()).record;
    const later = await deployments.newest('payments');
    stage.cloud.deleteObject(stage.bucket, keys.deployment('dev', 'payments', later?.value.deployment ?? ''));
    await desired.move({
      ...{ service: 'payments', version: '1.1.0', artifacts, action: 'deploy', sequence },
      ...{ deployment: newUlid(0), changedBy: 'ci' },
    });
    return old;
  }

  it('starts no rollback', async () => {
    const old = await overtaken();
    ends(old, 'broken');
    await watching(old);
    expect(agent && deploysHeard(agent)).toEqual([['1.0.0', 'deploy']]);
    expect((await records())[0]).toMatchObject({ deployment: old.deployment, status: 'failed' });
  });

  it('is not the rollback that the next one repeats', async () => {
    await overtaken({ action: 'rollback' });
    expect(await rollback(await stage.open(), options({ version: '' }))).toBe(0);
    expect(await desired()).toMatchObject({ version: '1.0.0' });
  });

  it('is not resumed', async () => {
    const { deployment } = await overtaken({ strategy: 'rolling', rolling: ROLLING });
    const resuming = resume(await stage.open(), { deployment, timeoutMs: 2000, detach: never() });
    await expect(resuming).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
      message: expect.stringContaining('the desired state of payments is newer'),
    });
  });
});

it('a record that a newer one follows is not resumed', async () => {
  await deployed(undefined);
  const { deployment } = await create({ strategy: 'rolling', rolling: ROLLING });
  await create({});
  const resuming = resume(await stage.open(), { deployment, timeoutMs: 2000, detach: never() });
  await expect(resuming).rejects.toMatchObject({
    code: 'NOT_UNDER_WAY',
    message: expect.stringContaining('a newer deployment has started'),
  });
});

it('a lock that counts below the newest record is refused by the watch of an older one', async () => {
  await deployed(undefined);
  const old = await create({});
  await create({});
  stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify({ ...stage.json(LOCK), sequence: old.sequence }));
  await expect(watching(old)).rejects.toMatchObject({
    code: 'RECORD_DAMAGED',
    hint: expect.stringContaining('doctor payments --repair'),
  });
});
