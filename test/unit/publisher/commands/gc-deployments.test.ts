import { beforeEach, expect, test } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { documentOf } from '../../../../publisher/record/deployment-document.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { options } from '../../../support/publisher/deploy-fixture.ts';
import { LIVE, objects, openGcStage, run, shown, stage } from '../../../support/publisher/gc-fixture.ts';

/** Which deployment records `gc` deletes. */

openGcStage();
const DAY = 86_400_000;
let old: DeploymentRecord;
beforeEach(async () => {
  Object.assign(stage.env, { retention: { keepDeployments: 1, keepDeploymentsFor: '30d' } });
  await stage.publish('payments', '1.0');
  await stage.agent(LIVE);
  await deploy(await stage.open(), options({ version: '1.0' }));
  const newest = (await (await stage.open()).record.deployments.newest('payments'))?.value;
  if (newest === undefined) throw new Error('no deployment');
  old = newest;
});

let count = 0;
/** A signed record of a deployment of 60 days ago, with a report. */
async function past(change: Partial<DeploymentRecord>): Promise<string> {
  const session = await stage.open();
  count += 1;
  const deployment = change.deployment ?? newUlid(Date.now() - 60 * DAY + count * 1000);
  const document = documentOf({ ...old, sequence: 1, setDesired: undefined, ...change, deployment });
  const text = await (await session.signer()).sign('td-deployment+jws', document);
  stage.cloud.putObject(stage.bucket, keys.deployment('dev', 'payments', deployment), text);
  stage.cloud.putObject(stage.bucket, `${keys.reports('dev', 'payments', deployment)}AROA:i-1.json`, '{}');
  return deployment;
}
const isThere = (id: string) => objects('state/').filter((key) => key.includes(id)).length;

test('records beyond the retention go with their reports; those that are not settled, cannot be verified, or prove a version stay', async () => {
  const failed = await past({ version: '0.9', status: 'failed' });
  const proof = await past({ version: '1.0', status: 'succeeded' });
  const lost = await past({ version: '0.8', status: 'succeeded' });
  const open = await past({ version: '0.9', status: 'timed-out' });
  const broken = await past({ version: '0.9', status: 'failed' });
  stage.cloud.putObject(stage.bucket, keys.deployment('dev', 'payments', broken), 'garbage');
  const local = newUlid(Date.now() - 70 * DAY);
  stage.cloud.putObject(stage.bucket, `${keys.reports('dev', 'payments', local)}AROA:i-1.json`, '{}');
  for (let i = 0; i < 64; i += 1) await past({ status: 'failed', deployment: newUlid(Date.now() - i) });
  const { findings, problems } = await run({ only: ['deployments'] }, { later: 0 });
  expect(problems).toEqual([]);
  // The newest deployment of 1.0 proves it, so the older proof is not needed.
  const gone = [failed, proof, lost, local].map((id) => `deleted payments ${id}`);
  const kept = [open, broken].map((id) => `kept payments ${id}`);
  expect(shown(findings).toSorted()).toEqual([...gone, ...kept].toSorted());
  expect([failed, proof, lost, local, open, broken].map(isThere)).toEqual([0, 0, 0, 0, 2, 2]);
});

test('the only proof of a version that exists stays, and a dry run deletes none', async () => {
  await stage.publish('payments', '0.9');
  const proof = await past({ version: '0.9', status: 'succeeded', previous: null });
  const failed = await past({ version: '0.9', status: 'failed' });
  for (let i = 0; i < 64; i += 1) await past({ status: 'failed', deployment: newUlid(Date.now() - i) });
  const dry = await run({ deletes: false, only: ['deployments'] }, { later: 0 });
  expect(shown(dry.findings).toSorted()).toEqual(
    [`found payments ${failed}`, `kept payments ${proof}`].toSorted(),
  );
  expect([isThere(failed), isThere(proof)]).toEqual([2, 2]);
});
