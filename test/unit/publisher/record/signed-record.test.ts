import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cancel } from '../../../../publisher/commands/cancel.ts';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { history } from '../../../../publisher/commands/history.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import { show } from '../../../../publisher/commands/show.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { historyLines } from '../../../../publisher/render/history.ts';
import { decide, readDecisions } from '../../../../publisher/rollout/decisions.ts';
import { isProof } from '../../../../publisher/rollout/requires.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { generateKeys, loadSigner } from '../../../../shared/signing.ts';
import { payloadOf } from '../../../support/publisher/announcements.ts';
import {
  deployed,
  deploysHeard,
  desired,
  openStageForEach,
  options,
  records,
  settled,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { never, notes } from '../../../support/publisher/stage.ts';

openStageForEach();

const keyOf = (id: string) => keys.deployment('dev', 'payments', id);
const textOf = (id: string) => stage.cloud.object(stage.bucket, keyOf(id))?.body.toString() ?? '';
const newest = async (): Promise<DeploymentRecord> => {
  const [record] = await records();
  if (record === undefined) throw new Error('no record');
  return record;
};
const EVIL = 'e'.repeat(64);

/** A deployment whose publisher did not wait: the next command settles it. */
async function left() {
  const [agent] = await deployed(undefined);
  expect(await deploy(await stage.open(), options({ wait: false }))).toBe(0);
  const record = await newest();
  if (agent === undefined) throw new Error('no agent');
  return { agent, id: record.deployment, record };
}

/** Writes the record of `id` with `change`, as the payload of a document whose signature is left as it was. */
function alter(id: string, change: (payload: Record<string, unknown>) => void): void {
  const [head = '', , signature = ''] = textOf(id).split('.');
  const payload = payloadOf(textOf(id));
  change(payload);
  const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
  stage.cloud.putObject(stage.bucket, keyOf(id), [head, body, signature].join('.'));
}

const forgedDigest = (payload: Record<string, unknown>) => {
  const head = payload.head as { artifacts: { sha256: string }[] };
  for (const artifact of head.artifacts) artifact.sha256 = EVIL;
};

it('a changed record counts for nothing: no digest of it is ever signed', async () => {
  const { id } = await left();
  alter(id, forgedDigest);
  const watching = watch(await stage.open(), { deployment: id, timeoutMs: 1000, detach: never() });
  await expect(watching).rejects.toMatchObject({
    code: 'SIGNATURE_INVALID',
    message: expect.stringContaining(keyOf(id)),
  });
  const session = await stage.open();
  expect(await deploy(session, options())).toBe(0);
  expect(notes(session.events)).toContainEqual(expect.stringContaining(keyOf(id)));
  expect(JSON.stringify(await desired())).not.toContain(EVIL);
});

it('a record signed by a key that is not trusted counts for nothing', async () => {
  const { id } = await left();
  const dir = await mkdtemp(join(tmpdir(), 'key-'));
  try {
    await writeFile(join(dir, 'k.json'), JSON.stringify((await generateKeys()).privateJwk));
    const payload = payloadOf(textOf(id));
    forgedDigest(payload);
    const signed = await (await loadSigner(join(dir, 'k.json'))).sign('td-deployment+jws', payload);
    stage.cloud.putObject(stage.bucket, keyOf(id), signed);
  } finally {
    await rm(dir, { recursive: true });
  }
  await expect(show(await stage.open(), { deployment: id })).rejects.toMatchObject({
    code: 'SIGNATURE_INVALID',
  });
});

it.each([
  ['deployment', { deployment: newUlid(1) }],
  ['service', { service: 'billing' }],
  ['environment', { env: 'prd' }],
])('the record of another %s at its key is refused', async (_, other) => {
  await deployed(undefined);
  const { deployment: id } = await newest();
  const payload = payloadOf(textOf(id));
  Object.assign(payload.head as object, other);
  const session = await stage.open();
  const text = await (await session.signer()).sign('td-deployment+jws', payload);
  stage.cloud.putObject(stage.bucket, keyOf(id), text);
  await expect(session.record.deployments.read('payments', id)).rejects.toMatchObject({
    code: 'DOCUMENT_INVALID',
    message: expect.stringContaining(Object.values(other)[0] ?? ''),
  });
});

it('a record whose order is replaced while a command runs is refused by this command', async () => {
  await deployed(undefined);
  const { deployment: id } = await newest();
  const session = await stage.open();
  await session.record.deployments.read('payments', id);
  const payload = payloadOf(textOf(id));
  forgedDigest(payload);
  const text = await (await session.signer()).sign('td-deployment+jws', payload);
  stage.cloud.putObject(stage.bucket, keyOf(id), text);
  await expect(session.record.deployments.read('payments', id)).rejects.toMatchObject({
    code: 'RECORD_DAMAGED',
  });
});

it('a record that is larger than anybody would read is not written', async () => {
  await deployed(undefined);
  const { deployments } = (await stage.open()).record;
  const stored = await deployments.read('payments', (await newest()).deployment);
  const outcome = 'x'.repeat(4 * 1024 * 1024);
  await expect(deployments.update(stored, { outcome })).rejects.toMatchObject({ code: 'USAGE' });
  expect((await deployments.read('payments', stored.value.deployment)).etag).toBe(stored.etag);
});

it('a decision that cannot be verified, or is about another deployment, is replaced by the next one', async () => {
  const { id } = await left();
  const session = await stage.open();
  const key = keys.decision('dev', 'payments', id, 'cancel');
  const about = await session.record.deployments.read('payments', id);
  await decide(session, about, 'cancel', 'slow');
  const written = stage.cloud.object(stage.bucket, key)?.body.toString() ?? '';
  const [head = '', , signature = ''] = written.split('.');
  const forged = Buffer.from(JSON.stringify({ ...payloadOf(written), by: 'mallory' })).toString('base64url');
  stage.cloud.putObject(stage.bucket, key, [head, forged, signature].join('.'));
  expect((await readDecisions(session, about)).cancel).toBeUndefined();
  const { by } = await decide(session, about, 'cancel', 'again');
  expect((await readDecisions(session, about)).cancel).toMatchObject({ by, reason: 'again' });
  const elsewhere = keys.decision('dev', 'payments', id, 'confirm');
  stage.cloud.putObject(stage.bucket, elsewhere, stage.cloud.object(stage.bucket, key)?.body ?? '');
  expect((await readDecisions(session, about)).confirm).toBeUndefined();
  expect(await decide(session, about, 'confirm')).toMatchObject({ kind: 'confirm' });
  expect((await readDecisions(session, about)).confirm).toMatchObject({ kind: 'confirm' });
});

it('what a deployment ordered never changes between writes; a resume changes two limits of its policy', async () => {
  const { id } = await left();
  const session = await stage.open();
  const stored = await session.record.deployments.read('payments', id);
  const { deployments } = session.record;
  for (const change of [
    { version: '1.0.0' },
    { artifacts: stored.value.artifacts.map((one) => ({ ...one, sha256: EVIL })) },
    { issuedBy: 'mallory' },
    { sequence: 99 },
    { targets: ['i-9'] },
    { policy: { ...stored.value.policy, onFailure: 'stop' as const } },
  ]) {
    await expect(deployments.update(stored, change)).rejects.toMatchObject({ code: 'RECORD_DAMAGED' });
  }
  const policy = { ...stored.value.policy, timeoutMs: 5, allowMissing: 7 };
  const resumed = await deployments.update(stored, { policy });
  expect(resumed.value.policy).toEqual(policy);
  expect((await (await stage.open()).record.deployments.read('payments', id)).value.policy).toEqual(policy);
  expect(resumed.document.head).toEqual(stored.document.head);
});

it('a decision about another order than that of the deployment is ignored', async () => {
  const { id } = await left();
  const session = await stage.open();
  await cancel(session, { deployment: id }).catch(() => undefined);
  const signer = await session.signer();
  const about = { env: 'dev', service: 'payments', deployment: id, kind: 'confirm', by: 'ann', v: 1 };
  const at = new Date().toISOString();
  const text = await signer.sign('td-decision+jws', { ...about, at, nonce: 'n', head: 'a'.repeat(64) });
  stage.cloud.putObject(stage.bucket, keys.decision('dev', 'payments', id, 'confirm'), text);
  const other = await stage.open();
  expect((await show(other, { deployment: id })).decisions.confirm).toBeUndefined();
  expect(notes(other.events)).toContainEqual(expect.stringContaining('another order'));
});

it('an older record of the deployment, put back after newer ones were deleted, sets no desired state', async () => {
  const { id } = await left();
  const announced = textOf(id);
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
  const later = (await newest()).deployment;
  stage.cloud.deleteObject(stage.bucket, keyOf(later));
  stage.cloud.putObject(stage.bucket, keyOf(id), announced);
  await watch(await stage.open(), { deployment: id, timeoutMs: 2000, detach: never() });
  expect(await desired()).toMatchObject({ version: '1.0.0', deployment: later });
  await expect(resume(await stage.open(), { deployment: id, detach: never() })).rejects.toMatchObject({
    code: 'NOT_UNDER_WAY',
  });
});

it('a watch without a signing key shows the outcome, and settles nothing', async () => {
  const { id } = await left();
  const before = textOf(id);
  const { signingKey = '' } = stage.env;
  const { d: _private, ...publicJwk } = JSON.parse(await readFile(signingKey, 'utf8'));
  await writeFile(`${signingKey}.pub`, JSON.stringify(publicJwk));
  Object.assign(stage.env, { signingKey: undefined, trust: [`${signingKey}.pub`] });
  const session = await stage.open();
  expect(await watch(session, { deployment: id, timeoutMs: 5000, detach: never() })).toBe(0);
  expect(settled(session.events)).toMatchObject([
    { outcome: 'succeeded', shown: true, text: expect.stringContaining('no signingKey') },
  ]);
  expect(textOf(id)).toBe(before);
});

it('an unsigned record is shown as unsigned, is never acted on, and proves nothing', async () => {
  const [agent] = await deployed(undefined);
  const signed = await newest();
  const old = {
    ...signed,
    ...{ v: 1, nonce: 'n', deployment: newUlid(Date.now() + 1000), sequence: 99, status: 'announced' },
    artifacts: signed.artifacts.map((one) => ({ ...one, sha256: EVIL })),
  };
  const key = keys.unsignedDeployment('dev', 'payments', old.deployment);
  stage.cloud.putObject(stage.bucket, key, JSON.stringify(old));
  const session = await stage.open();
  const told = await history(session, { service: 'payments', limit: 5 });
  expect(told.deployments).toMatchObject([{ deployment: old.deployment, unsigned: true }, {}]);
  expect(historyLines(told)[0]).toContain('NOT SIGNED');
  expect((await show(session, { deployment: old.deployment })).deployment).toMatchObject({ unsigned: true });
  const wanted = {
    ...old,
    status: 'succeeded' as const,
    action: 'deploy' as const,
    counts: { succeeded: 1 },
  };
  expect(isProof({ ...wanted, unsigned: true }, wanted.version, wanted.artifacts)).toBe(false);
  expect(isProof(wanted, wanted.version, wanted.artifacts)).toBe(true);
  await expect(
    watch(session, { deployment: old.deployment, timeoutMs: 500, detach: never() }),
  ).rejects.toMatchObject({ code: 'DEPLOYMENT_NOT_FOUND' });
  await expect(resume(session, { deployment: old.deployment, detach: never() })).rejects.toMatchObject({
    code: 'DEPLOYMENT_NOT_FOUND',
  });
  expect(await deploy(await stage.open(), options())).toBe(0);
  expect(agent && deploysHeard(agent).length).toBe(2);
  expect(JSON.stringify(await desired())).not.toContain(EVIL);
});
