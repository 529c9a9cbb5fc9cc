import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { lostDesired, refuseIfLost } from '../../../../publisher/rollout/lost-desired.ts';
import type { Desired } from '../../../../shared/desired.ts';
import { keys } from '../../../../shared/names.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';

/** What shows that a desired state was put back. */

const desired = (sequence: number) => ({ version: '1.0.0', sequence }) as Desired;
const record = (sequence: number, setDesired?: true) =>
  ({ version: `1.${sequence}`, sequence, setDesired }) as DeploymentRecord;

it('only a record that set a desired state, and is newer than the one that stands, shows that it was put back', () => {
  expect(lostDesired(desired(5), [record(7), record(6), record(5, true), record(4, true)])).toBeUndefined();
  expect(lostDesired(desired(5), [record(6, true), record(8), record(7, true)])).toMatchObject({
    sequence: 7,
  });
  expect(lostDesired(undefined, [record(1, true)])).toMatchObject({ sequence: 1 });
  expect(lostDesired(undefined, [record(1)])).toBeUndefined();
});

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

/** Whether a desired state with the sequence 5 is refused, where the instances run versions with these sequences. */
async function isRefused(run: readonly number[], records: readonly DeploymentRecord[]): Promise<boolean> {
  for (const [index, sequence] of run.entries()) {
    const instance = `i-${index}`;
    const about = { v: 1, env: 'dev', service: 'payments', instance, version: `1.${sequence}`, sequence };
    const said = { ...about, pinned: false, agentVersion: '0.2.0', at: '2026-01-01T00:00:00Z' };
    const key = keys.instance('dev', 'payments', userIdOf(instance));
    stage.cloud.putObject(stage.bucket, key, JSON.stringify(said));
  }
  try {
    const how = { service: 'payments', ask: false };
    await refuseIfLost(await stage.open(), desired(5), records, how);
    return false;
  } catch (error) {
    expect(error).toMatchObject({
      code: 'RECORD_DAMAGED',
      message: expect.stringContaining('most instances'),
    });
    return true;
  }
}

it.each<[string, number[], number[], boolean]>([
  ['more than half of the instances run something newer', [7, 7, 5], [5], true],
  ['one of three instances says so', [7, 5, 5], [5], false],
  ['half of the instances say so', [7, 7, 5, 5], [5], false],
  ['a record says why most instances run it', [7, 7, 5], [7, 5], false],
  ['what they run is older than all records that were read', [7, 7, 7], [9, 8], false],
  ['what they run is newer than the oldest record that was read', [7, 7, 7], [9, 6], true],
  ['there are no records at all', [7, 7], [], true],
  ['there are no instances', [], [5], false],
])('where %s: instances at %j, records at %j, refused: %s', async (_, run, records, refused) => {
  expect(
    await isRefused(
      run,
      records.map((sequence) => record(sequence)),
    ),
  ).toBe(refused);
});
