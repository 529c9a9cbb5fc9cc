import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pushAndDeploy } from '../../../../publisher/commands/push.ts';
import { ALL_AT_ONCE } from '../../../support/publisher/rollout-options.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';
import { jarText } from '../../../support/shared/zip.ts';

const PATIENCE = 30_000;

let dev: Stage;
let directory: string;
beforeEach(async () => {
  dev = await openStage();
  directory = await mkdtemp(join(tmpdir(), 'push-deploy-'));
});
afterEach(async () => {
  await dev.close();
  await rm(directory, { recursive: true });
});

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

describe('push --deploy', { timeout: PATIENCE }, () => {
  it('pushes and deploys; an unchanged push deploys again', async () => {
    await dev.agent('i-dev');
    const files = [await file('payments.jar', jarText('jar'))];
    const options = { ...ALL_AT_ONCE, service: 'payments', version: '1.4.3', files, configs: [] };
    const pushed: boolean[] = [];
    const go = async () =>
      await pushAndDeploy(await dev.open(), options, ({ changed }) => void pushed.push(changed));
    expect(await go()).toBe(0);
    expect(await go()).toBe(0);
    expect(pushed).toEqual([true, false]);
    expect(await (await dev.open()).record.deployments.list('payments', 5)).toHaveLength(2);
  });

  it('has the exit code of the deployment', async () => {
    await dev.agent('i-dev', () => ['accepted', { state: 'rolled-back', code: 'CHECK_FAILED' }]);
    const files = [await file('payments.jar', jarText('jar'))];
    const options = { ...ALL_AT_ONCE, service: 'payments', version: '1.4.3', files, configs: [] };
    expect(await pushAndDeploy(await dev.open(), options, () => undefined)).toBe(1);
  });
});
