import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { plan } from '../../../../publisher/commands/plan.ts';
import { promote } from '../../../../publisher/commands/promote.ts';
import { push, pushAndDeploy } from '../../../../publisher/commands/push.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import type { Environment } from '../../../../publisher/config/load.ts';
import { strategyOf } from '../../../../publisher/plan/strategy.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import type { Script } from '../../../support/publisher/fake-agent.ts';
import { ALL_AT_ONCE } from '../../../support/publisher/rollout-options.ts';
import { notes, openStage, type Stage } from '../../../support/publisher/stage.ts';
import { jarOf, jarText } from '../../../support/shared/zip.ts';

const PATIENCE = 30_000;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let dev: Stage;
let stg: Stage;
let directory: string;
beforeEach(async () => {
  dev = await openStage();
  stg = await openStage({ name: 'stg', within: dev });
  directory = await mkdtemp(join(tmpdir(), 'promote-'));
});
afterEach(async () => {
  await stg.close();
  await dev.close();
  await rm(directory, { recursive: true });
});

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

/** A version pushed to dev, and deployed there to an agent that plays `script`. */
async function runsInDev(version: string, bytes: Uint8Array, script?: Script): Promise<void> {
  const files = [await file('payments.jar', bytes), await file('application-dev.yaml', 'a: dev\n')];
  await push(await dev.open(), { service: 'payments', version, files, configs: [] });
  await dev.agent('i-dev', script);
  await deploy(await dev.open(), { ...ALL_AT_ONCE, service: 'payments', version });
}

const promotion = { ...ALL_AT_ONCE, service: 'payments', from: 'dev', configs: [] };
const requiring = async (change: Partial<Environment> = {}) => {
  const session = await stg.open();
  return { ...session, env: { ...session.env, requires: 'dev', ...change } };
};
const jarKey = (version: string, bytes: Uint8Array) =>
  keys.artifact('payments', version, sha256(bytes), 'payments.jar');
const inStg = () => dev.cloud.objects(stg.bucket, 'artifacts/');
const refusal = async (work: Promise<unknown>) =>
  await work.then(
    () => undefined,
    (error: TriggerDeployError) => error,
  );

describe('promote', { timeout: PATIENCE }, () => {
  it('copies the package to the next environment, signs it there, and deploys it there', async () => {
    const bytes = jarOf(randomBytes(9_000_000));
    await runsInDev('1.0.0', bytes);
    const agent = await stg.agent('i-stg');
    const session = await stg.open();
    const configs = [await file('application-stg.yaml', 'a: stg\n')];
    expect(await promote(session, { ...promotion, configs, reason: 'ticket 4711' })).toBe(0);

    expect(dev.cloud.object(stg.bucket, jarKey('1.0.0', bytes))?.body.equals(bytes)).toBe(true);
    const manifest = await session.record.versions.readManifest('payments', '1.0.0');
    expect(manifest.pushedBy).toBe(`${session.who}, promoted from dev`);
    expect(manifest.artifacts.map((one) => [one.name, one.role])).toEqual([
      ['payments.jar', 'package'],
      ['application-stg.yaml', 'config'],
    ]);
    expect((await session.verifier()).kids).not.toEqual((await (await dev.open()).verifier()).kids);
    expect(inStg().some((key) => key.includes('application-dev'))).toBe(false);
    expect(agent.heard.find((one) => one.kind === 'deploy')).toMatchObject({ env: 'stg', version: '1.0.0' });
    const [record] = await session.record.deployments.list('payments', 1);
    expect(record).toMatchObject({ promotedFrom: 'dev', status: 'succeeded', reason: 'ticket 4711' });
    const copied = session.events.filter(
      (event) => event.type === 'progress' && event.what === 'payments.jar',
    );
    expect(copied.at(-1)).toMatchObject({ done: bytes.length, total: bytes.length });
    expect(notes(session.events)).toContain('copied payments 1.0.0 from dev to stg');
    expect(await session.record.versions.newest('payments', 1)).toEqual(['1.0.0']);
  });

  it('repeated copies nothing, writes no manifest, and deploys', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(1000)));
    await stg.agent('i-stg');
    expect(await promote(await stg.open(), promotion)).toBe(0);
    const puts = () =>
      dev.cloud.requests.filter((one) => one.operation === 'PutObject' && one.key?.startsWith('artifacts/'))
        .length;
    const before = puts();
    const session = await stg.open();
    expect(await promote(session, promotion)).toBe(0);
    expect(puts()).toBe(before);
    expect(notes(session.events)).toContain('payments 1.0.0 is already in stg, with the same package');
    expect(await session.record.deployments.list('payments', 5)).toHaveLength(2);
  });

  it('takes the version of the desired state in dev, or an older one that succeeded there', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(1000)));
    const files = [await file('payments.jar', jarOf(randomBytes(1000)))];
    await push(await dev.open(), { service: 'payments', version: '1.1.0', files, configs: [] });
    await deploy(await dev.open(), { ...ALL_AT_ONCE, service: 'payments', version: '1.1.0' });
    const agent = await stg.agent('i-stg');
    expect(await promote(await stg.open(), { ...promotion, version: '1.0.0' })).toBe(0);
    expect(await promote(await stg.open(), promotion)).toBe(0);
    expect(agent.heard.flatMap((one) => ('version' in one ? [one.version] : []))).toEqual(
      expect.arrayContaining(['1.0.0', '1.1.0']),
    );
  });

  it('of a version that exists with other bytes is refused, and changes nothing', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(1000)));
    const files = [await file('payments.jar', jarOf(randomBytes(1000)))];
    await push(await stg.open(), { service: 'payments', version: '1.0.0', files, configs: [] });
    const before = inStg();
    await expect(promote(await stg.open(), promotion)).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
    expect(inStg()).toEqual(before);
    expect(await (await stg.open()).record.deployments.list('payments', 5)).toEqual([]);
  });

  it('does not trust the source’s bucket: bytes that differ from the signed ones do not become a version', async () => {
    const bytes = jarOf(randomBytes(9_000_000));
    await runsInDev('1.0.0', bytes);
    const others = [
      jarOf(randomBytes(9_000_000)),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.from('x')]),
    ];
    for (const body of others) {
      dev.cloud.putObject(dev.bucket, jarKey('1.0.0', bytes), body);
      await expect(promote(await stg.open(), promotion)).rejects.toMatchObject({
        code: 'ARTIFACT_DIGEST_MISMATCH',
        message: expect.stringContaining(`s3://${dev.bucket}/`),
      });
      expect(inStg()).toEqual([]);
    }
    const signed = dev.cloud.object(dev.bucket, keys.manifest('payments', '1.0.0'))?.body.toString() ?? '';
    const other = signed.at(-2) === 'A' ? 'B' : 'A';
    dev.cloud.putObject(
      dev.bucket,
      keys.manifest('payments', '1.0.0'),
      `${signed.slice(0, -2)}${other}${signed.at(-1)}`,
    );
    await expect(promote(await stg.open(), promotion)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('interrupted leaves no version, and the same command continues', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(20_000_000)));
    await stg.agent('i-stg');
    const interrupt = new AbortController();
    const session = await stg.open();
    const emit: typeof session.emit = (event) => {
      if (event.type === 'progress' && event.done > 0) {
        interrupt.abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
      }
    };
    const options = { ...promotion, detach: interrupt.signal };
    await expect(promote({ ...session, emit }, options)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(inStg()).toEqual([]);
    expect(await promote(await stg.open(), promotion)).toBe(0);
  });

  it('continues an interrupted download', async () => {
    const bytes = jarOf(randomBytes(2_000_000));
    await runsInDev('1.0.0', bytes);
    await stg.agent('i-stg');
    const isJar = (request: { operation: string; key?: string | undefined }) =>
      request.operation === 'GetObject' && request.key === jarKey('1.0.0', bytes);
    dev.cloud.fail('answer-lost', isJar, 4);
    expect(await promote(await stg.open(), promotion)).toBe(0);
    expect(dev.cloud.object(stg.bucket, jarKey('1.0.0', bytes))?.body.equals(bytes)).toBe(true);
  });

  it('waits for a person where the environment requires one, whatever the command line says', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(100)));
    const agent = await stg.agent('i-stg');
    const session = await stg.open();
    const env = { ...session.env, confirm: 'person' } as const;
    const strategy = strategyOf(env, 'payments', { strategy: 'all' });
    const switched: boolean[] = [];
    const ask = async () => {
      switched.push(agent.heard.some((one) => one.kind === 'deploy'));
      return true;
    };
    expect(await promote({ ...session, env }, { ...promotion, strategy, gate: ask, confirmEmpty: ask })).toBe(
      0,
    );
    expect(switched).toEqual([false]);
    const [record] = await session.record.deployments.list('payments', 1);
    expect(record).toMatchObject({
      promotedFrom: 'dev',
      rolling: { gate: 'person', confirmed: { by: session.who } },
    });
  });

  it('from an environment to itself, or of config files in one bucket, is wrong use', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(100)));
    await expect(promote(await dev.open(), promotion)).rejects.toMatchObject({ code: 'USAGE' });
    const session = await stg.open();
    const env = { ...session.env, bucket: dev.bucket };
    await expect(promote({ ...session, env }, promotion)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('application-dev.yaml'),
    });
  });
});

describe('a version that has not succeeded in --from is not promoted', { timeout: PATIENCE }, () => {
  const refused = async (version?: string) =>
    await refusal(promote(await stg.open(), { ...promotion, version }));

  it('if it was never deployed there, or never pushed', async () => {
    expect(await refused()).toMatchObject({
      code: 'NOT_PROVEN',
      message: 'payments was never deployed in dev',
    });
    expect(await refused('9.9.9')).toMatchObject({
      code: 'NOT_PROVEN',
      message: 'payments 9.9.9 is not in dev',
    });
    const files = [await file('payments.jar', jarText('jar'))];
    await push(await dev.open(), { service: 'payments', version: '1.0.0', files, configs: [] });
    expect(await refused('1.0.0')).toMatchObject({
      code: 'NOT_PROVEN',
      message: 'no deployment of payments 1.0.0 to all of dev has succeeded',
    });
    expect(inStg()).toEqual([]);
  });

  it('if it failed there, or was deployed to some instances only', async () => {
    await runsInDev('1.0.0', jarOf(randomBytes(100)), () => [
      'accepted',
      { state: 'rolled-back', code: 'CHECK_FAILED' },
    ]);
    expect(await refused('1.0.0')).toMatchObject({ code: 'NOT_PROVEN' });
    const files = [await file('payments.jar', jarOf(randomBytes(100)))];
    await push(await dev.open(), { service: 'payments', version: '1.1.0', files, configs: [] });
    await dev.agent('i-other');
    const only = { ...ALL_AT_ONCE, service: 'payments', version: '1.1.0', only: ['i-other'] };
    expect(await deploy(await dev.open(), only)).toBe(0);
    expect(await refused('1.1.0')).toMatchObject({ code: 'NOT_PROVEN' });
  });
});

describe('an environment that requires another', { timeout: PATIENCE }, () => {
  it('refuses a version that has not succeeded there, and says what to do; a rollback to a version that ran here is allowed', async () => {
    const files = [await file('payments.jar', jarText('jar'))];
    await push(await stg.open(), { service: 'payments', version: '1.0.0', files, configs: [] });
    await stg.agent('i-stg');
    const wish = { ...ALL_AT_ONCE, service: 'payments', version: '1.0.0' };
    const error = {
      code: 'NOT_PROVEN',
      message: 'stg requires that payments 1.0.0 has succeeded in dev: payments 1.0.0 is not in dev',
      hint: expect.stringContaining('trigger-deploy promote payments --from dev --to stg'),
    };
    expect(await refusal(deploy(await requiring(), wish))).toMatchObject(error);
    expect(await refusal(plan(await requiring(), wish))).toMatchObject(error);
    const pushed = { ...wish, files, configs: [] };
    expect(await refusal(pushAndDeploy(await requiring(), pushed, () => undefined))).toMatchObject(error);
    expect(await (await stg.open()).record.deployments.list('payments', 5)).toEqual([]);
    expect(await refusal(rollback(await requiring(), { ...wish, to: '1.0.0' }))).toMatchObject(error);
    expect(await deploy(await stg.open(), wish)).toBe(0);
    expect(await rollback(await requiring(), { ...wish, to: '1.0.0' })).toBe(0);
  });

  it('accepts a version that has, but not another package of it', async () => {
    const bytes = jarOf(randomBytes(100));
    await runsInDev('1.0.0', bytes);
    await stg.agent('i-stg');
    const wish = { ...ALL_AT_ONCE, service: 'payments', version: '1.0.0' };
    const files = [await file('built-again.jar', bytes)];
    await push(await stg.open(), { service: 'payments', version: '1.0.0', files, configs: [] });
    expect(await deploy(await requiring(), wish)).toBe(0);
    expect(await promote(await requiring(), promotion)).toBe(0);

    await push(await dev.open(), { service: 'payments', version: '1.1.0', files, configs: [] });
    await deploy(await dev.open(), { ...wish, version: '1.1.0' });
    const other = [await file('other.jar', jarText('other'))];
    await push(await stg.open(), { service: 'payments', version: '1.1.0', files: other, configs: [] });
    expect(await refusal(deploy(await requiring(), { ...wish, version: '1.1.0' }))).toMatchObject({
      code: 'NOT_PROVEN',
      message: expect.stringContaining('there payments 1.1.0 is a different package'),
    });
  });
});
