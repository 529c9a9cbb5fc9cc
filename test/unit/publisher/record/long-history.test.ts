import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import type { Deployments } from '../../../../publisher/record/deployments.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';

/** What a command reads of a history of 5,000 deployments. */

const HOUR = 3_600_000;
const SIGNED = 40;

let stage: Stage;
let deployments: Deployments;

beforeEach(async () => {
  stage = await openStage();
  deployments = (await stage.open()).record.deployments;
  const now = Date.now();
  for (let n = 1; n <= 5000; n += 1) {
    const deployment = newUlid(now - n * HOUR);
    const key = keys.deployment('dev', 'payments', deployment);
    // Nothing reads the old ones, so they are not signed.
    if (n > SIGNED) stage.cloud.putObject(stage.bucket, key, 'old');
    else await deployments.create(recordOf(deployment, 5001 - n, new Date(now - n * HOUR).toISOString()));
  }
});
afterEach(async () => await stage.close());

/** The calls that `work` makes. */
async function callsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = stage.cloud.requests.length;
  await work();
  const calls: Record<string, number> = {};
  for (const { operation } of stage.cloud.requests.slice(before))
    calls[operation] = (calls[operation] ?? 0) + 1;
  return calls;
}

it('the newest record, the recent ones and the last twenty take two lists and 32 reads each', async () => {
  const calls = { ListObjectsV2: 2, GetObject: 32 };
  expect(
    await callsOf(async () => expect((await deployments.newest('payments'))?.value.sequence).toBe(5000)),
  ).toEqual(calls);
  expect(await callsOf(() => deployments.list('payments', 20))).toEqual(calls);
  expect(
    await callsOf(async () => {
      const found = await deployments.history('payments', 20);
      expect(found.map((one) => one.sequence)).toEqual(Array.from({ length: 20 }, (_, i) => 5000 - i));
    }),
  ).toEqual(calls);
});

it('the deployments of a time are read, and no others', async () => {
  const since = Date.now() - 10.5 * HOUR;
  expect(
    await callsOf(async () =>
      expect(await deployments.history('payments', 1000, { since })).toHaveLength(10),
    ),
  ).toEqual({ ListObjectsV2: 2, GetObject: 10 });
});

function recordOf(deployment: string, sequence: number, at: string): DeploymentRecord {
  return {
    ...{ deployment, sequence, env: 'dev', service: 'payments', version: '1.0.0', previous: null },
    ...{ action: 'deploy', issuedBy: 'ci', from: { user: 'u', host: 'h' } },
    artifacts: [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' as const }],
    ...{ expected: ['i-1'], strategy: 'all', announcedAt: at, expiresAt: at },
    policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback' as const, timeoutMs: 1000 },
    ...{ desiredFirst: false, status: 'succeeded' },
  };
}
