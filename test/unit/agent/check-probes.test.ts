import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { AgentConfig, AgentServiceConfig } from '../../../agent/config.ts';
import { checkProbes } from '../../../agent/wire-check.ts';
import { NEVER } from '../../../shared/abort.ts';
import { BUCKET, cloudAndAws } from '../../support/aws/fixture.ts';
import { startFakeAutoScaling } from '../../support/cloud/fake-auto-scaling.ts';

/** What `check` finds about the things that agent.yaml names. */

const free = vi.hoisted(() => ({ bytes: 10 ** 12, inodes: 1000 }));
vi.mock('../../../agent/host/fs/durable-files.ts', async (original) => ({
  ...(await original<typeof import('../../../agent/host/fs/durable-files.ts')>()),
  freeSpace: async () => free,
}));

const config = (more: object = {}) =>
  ({
    env: 'dev',
    bucket: BUCKET,
    state: '/',
    instance: 'i-0a',
    services: {},
    ...more,
  }) as unknown as AgentConfig;

test('lifecycle actions that the role may not use are a problem', async () => {
  const scaling = await startFakeAutoScaling();
  onTestFinished(() => scaling.stop());
  const { aws } = await cloudAndAws();
  vi.stubEnv('AWS_ENDPOINT_URL_AUTO_SCALING', scaling.env.AWS_ENDPOINT_URL_AUTO_SCALING ?? '');
  const { environment } = checkProbes(config({ lifecycle: { autoScaling: { group: 'web' } } }), aws);
  const probe = environment.find(({ id }) => id === 'auto-scaling');
  scaling.join('i-0a', 'web');
  expect(await probe?.run(NEVER)).toMatchObject([{ ok: true }]);
  scaling.fail('RecordLifecycleActionHeartbeat', { status: 403, code: 'AccessDenied' }, 9);
  expect(await probe?.run(NEVER)).toMatchObject([{ ok: false, what: expect.stringContaining('lifecycle') }]);
});

test('a directory of logs that is missing is a problem, one that can be read is not', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'logs-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const { aws } = await cloudAndAws();
  const service = {
    package: { dir },
    logs: { files: [{ dir }, { dir: join(dir, 'none') }] },
  } as unknown as AgentServiceConfig;
  const probes = checkProbes(config(), aws).ofService('payments', service, { current: async () => null });
  expect(await probes.find(({ id }) => id === 'logs-files')?.run(NEVER)).toMatchObject([
    { ok: true },
    { ok: false, hint: expect.stringContaining('create ') },
  ]);
});

test.each([
  [{ bytes: 1024 ** 3, inodes: 1000 }, undefined],
  [{ bytes: 100 * 1024 ** 2, inodes: 1000 }, 'that is little'],
  [{ bytes: 1024 ** 3, inodes: 0 }, 'no inode is free'],
])('space: of %o it says %s', async (left, text) => {
  Object.assign(free, left);
  const { aws } = await cloudAndAws();
  const probe = checkProbes(config(), aws).environment.find(({ id }) => id === 'space');
  const [found] = (await probe?.run(NEVER)) ?? [];
  expect(found?.ok).toBe(true);
  expect(found?.hint).toEqual(text === undefined ? undefined : expect.stringContaining(text));
});
