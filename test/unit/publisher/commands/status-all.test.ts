import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusAll } from '../../../../publisher/commands/status-all.ts';
import { statusAllJson, statusAllLines, statusAllTable } from '../../../../publisher/render/status-all.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';

let dev: Stage;
let stg: Stage;
beforeEach(async () => {
  dev = await openStage();
  stg = await openStage({ name: 'stg', within: dev });
});
afterEach(async () => {
  await stg.close();
  await dev.close();
});

const AT = '2026-11-21T08:14:02.000Z';
const page = { columns: 200, paint: plain };
const lost = new TriggerDeployError('AWS_DENIED', 'cannot list s3://acme-prd: AWS refuses', {
  hint: 'credentials',
});

function put(
  stage: Stage,
  service: string,
  instance: string,
  version: string | null,
  change: object = {},
): void {
  const { cloud, bucket, env } = stage;
  const about = { v: 1, env: env.name, service, instance, version, sequence: 1, pinned: false, active: true };
  const record = { ...about, agentVersion: '0.1.0', at: AT, ...change };
  cloud.putObject(bucket, keys.instance(env.name, service, userIdOf(instance)), JSON.stringify(record));
}

async function desire(stage: Stage, service: string, version: string): Promise<void> {
  const artifacts = [{ name: 'a.jar', size: 1, sha256: 'a'.repeat(64), role: 'package' as const }];
  const change = {
    service,
    version,
    artifacts,
    action: 'deploy',
    sequence: 1,
    changedBy: 'ann@desk',
  } as const;
  await (await stage.open()).record.desired.move({ ...change, deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H' });
}

const look = async (environments: string[], change: object = {}) =>
  await statusAll({
    environments,
    now: () => Date.parse(AT),
    open: async (env) => {
      if (env === 'prd') throw lost;
      if (env === 'slow') return await new Promise(() => undefined);
      return await (env === 'dev' ? dev : stg).open();
    },
    ...change,
  });

describe('status --all', { timeout: 20_000 }, () => {
  it('shows each service in each environment, and the environments that cannot be reached', async () => {
    await dev.agent('i-1', undefined, '1.4.3');
    await desire(dev, 'payments', '1.4.3');
    put(dev, 'edge-proxy', 'i-1', '2.0.0');
    await desire(stg, 'payments', '1.4.2');
    put(stg, 'payments', 'i-2', '1.4.2');
    put(stg, 'payments', 'i-3', '1.4.1', { active: false, pinned: true, state: 'broken' });
    await (await stg.open()).record.pauses.write('payments', {
      paused: true,
      by: 'ann',
      at: AT,
      reason: 'look',
    });

    const answer = await look(['dev', 'stg', 'prd']);
    expect(statusAllTable(answer, page)).toEqual([
      '            dev                            stg',
      'edge-proxy  none desired 1 known SILENT 1  –',
      'payments    1.4.3 1 of 1                   1.4.2 1 of 2 DRIFT 1 BROKEN 1 DOWN 1 PINNED 1 SILENT 2 PAUSED',
      '',
      'prd cannot be reached: cannot list s3://acme-prd: AWS refuses',
    ]);
    expect(statusAllLines(answer)).toEqual([
      'edge-proxy dev none desired 1 known SILENT 1',
      'payments dev 1.4.3 1 of 1',
      'payments stg 1.4.2 1 of 2 DRIFT 1 BROKEN 1 DOWN 1 PINNED 1 SILENT 2 PAUSED',
      'prd unreachable AWS_DENIED: cannot list s3://acme-prd: AWS refuses',
    ]);
    expect(statusAllJson(answer)).toMatchObject([
      { type: 'status', time: AT, env: 'dev', service: 'edge-proxy' },
      { type: 'status', env: 'dev', service: 'payments', desired: { version: '1.4.3' } },
      { type: 'status', env: 'stg', service: 'payments', pause: { by: 'ann' } },
      { type: 'unreachable', env: 'prd', code: 'AWS_DENIED', hint: 'credentials' },
    ]);
  });

  it('of one service leaves out the others; an environment without it is no error', async () => {
    put(dev, 'edge-proxy', 'i-1', '2.0.0');
    put(stg, 'payments', 'i-2', '1.4.2');
    const answer = await look(['dev', 'stg'], { service: 'payments' });
    expect(statusAllTable(answer, page)).toEqual([
      '          dev  stg',
      'payments  –    none desired 1 known SILENT 1',
    ]);
    await expect(look(['dev', 'stg'], { service: 'paymnets' })).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      message: 'there is no service paymnets in the environments dev, stg',
    });
  });

  it('shows an environment that does not answer in time as unreachable', async () => {
    put(dev, 'payments', 'i-1', '1.4.3');
    const answer = await look(['slow', 'dev'], { timeoutMs: 3000 });
    expect(statusAllLines(answer)).toEqual([
      'payments dev none desired 1 known SILENT 1',
      'slow unreachable TIMEOUT: slow: AWS gave no answer within 3.0 s',
    ]);
  });

  it('throws the first error when no environment can be reached', async () => {
    await expect(look(['prd'])).rejects.toBe(lost);
    expect(statusAllTable(await look([]), page)).toEqual(['nothing is deployed yet']);
  });
});
