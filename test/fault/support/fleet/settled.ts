import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { keys, RECORD_NAME } from '../../../../shared/names.ts';
import { instanceRecord } from '../../../../shared/report.ts';
import { isEnding } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV } from '../../../support/fleet/fleet.ts';
import type { RecordWatch } from '../publisher/record-watch.ts';
import type { Service } from './services.ts';

/**
 * What must hold after any fault: `current` points at a complete release, the service runs it, one ending per
 * deployment, staging is empty. `runs` is the version that must run; null for a service that is down, `'nothing'` for
 * one that is down and has no `current`.
 */
export async function expectSettled(
  service: Service,
  { version, down = false, watch }: { version: string | null; down?: boolean; watch: RecordWatch },
): Promise<void> {
  await tidiedUp(service);
  const { dir, name } = service;
  if (version === null) {
    await expect(readlink(join(dir, 'current'))).rejects.toMatchObject({ code: 'ENOENT' });
  } else {
    expect(await readlink(join(dir, 'current'))).toBe(join('releases', version));
    await expectComplete(join(dir, 'releases', version), version);
  }
  const answer = await ask(service);
  expect(answer?.version).toBe(version === null || down ? undefined : version);
  // It is emptied in the background. Not `expect.poll`: this runs in hooks too.
  const isEmpty = async () => expect(await readdir(join(dir, '.staging'))).toEqual([]);
  await vi.waitFor(isEmpty, { timeout: 30_000, interval: 50 });
  const prefix = `state/${ENV}/${name}/deployments/`;
  const reported = service.fleet.cloud.objects(BUCKET, prefix).filter((key) => key.includes('/reports/'));
  expect(reported.length).toBeGreaterThan(0);
  for (const key of reported) expect(watch.endings.get(key), key).toHaveLength(1);
}

async function expectComplete(release: string, version: string): Promise<void> {
  const json = async (file: string) => JSON.parse(await readFile(join(release, file), 'utf8'));
  expect(await json(RECORD_NAME)).toMatchObject({ version });
  expect(await json('behaviour.json')).toMatchObject({ version });
  const packed = await readFile(
    new URL('../../../support/fleet/sample-service/server.mjs', import.meta.url),
    'utf8',
  );
  expect(await readFile(join(release, 'server.mjs'), 'utf8')).toBe(packed);
}

/** What the service answers on its port; undefined when it does not. */
export async function ask({ port }: Service): Promise<{ version: string; pid: number } | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
    return (await answer.json()) as { version: string; pid: number };
  } catch {
    return undefined;
  }
}

/** The instance record is the last thing an agent writes about a deployment, once it has tidied up after it. */
export async function tidiedUp({
  fleet,
  instance,
  name,
}: Pick<Service, 'fleet' | 'instance' | 'name'>): Promise<void> {
  const { cloud } = fleet;
  const lastEnding = () => {
    const reports = cloud
      .objects(BUCKET, keys.deployments(ENV, name))
      .filter((key) => key.endsWith(`/reports/${userIdOf(instance.id)}.json`))
      .map((key) => JSON.parse(cloud.object(BUCKET, key)?.body.toString('utf8') ?? '{}'));
    return Math.max(...reports.map(({ at }) => Date.parse(at)));
  };
  // Asked with every request whenever anything changes; once per change is enough.
  await cloud.until((request) => {
    if (request !== cloud.requests[0]) return false;
    const stored = cloud.object(BUCKET, keys.instance(ENV, name, userIdOf(instance.id)));
    if (!stored) return false;
    const { state, at } = instanceRecord.parse(JSON.parse(stored.body.toString('utf8')));
    return state !== undefined && isEnding(state) && Date.parse(at) >= lastEnding();
  });
}
