import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instance } from '../support/fleet/fleet.ts';
import { tgz } from '../support/host/tarball.ts';
import { proved } from '../support/reliability.ts';
import { randomOf, seedOfDay } from '../support/shared/random.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf, place, SERVICE } from './support/fleet/by-hand.ts';

/** SIGKILL of the agent while it deletes an old release in the background. */

const FILES = 40;
const KEPT = 3;
const SEED = 'TRIGGER_DEPLOY_SWEEP_SEED';

/** A preload for the agent: it dies instead of its nth deletion of a file of a release. */
const dyingAt = (n: number) => `
  import { promises } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { unlink } = promises;
  let left = ${n};
  promises.unlink = async (path) => {
    if (/^[/]proc[/]self[/]fd[/].*[/]file-/.test(String(path)) && --left === 0) process.kill(process.pid, 'SIGKILL');
    return await unlink(path);
  };
  syncBuiltinESMExports();`;

/** Of the agent; read at each of its starts. */
const agentEnv: Record<string, string> = {};
let world: FaultWorld;

beforeAll(async () => {
  world = await startFaultWorld({}, agentEnv);
});
afterAll(() => world?.stop());

function deploy(instance: Instance, version: string) {
  const entries = Array.from({ length: FILES }, (_, n) => ({
    path: `dir/file-${n}`,
    body: `${n} of ${version}`,
  }));
  return world.deployByHand(instance, version, place(world.fleet.cloud, version, tgz(entries)));
}

/** The releases, each with its files that are whole; and how many names are left in the staging directory. */
async function found({ dir }: Instance) {
  const service = join(dir, SERVICE);
  const whole: Record<string, number> = {};
  for (const version of await readdir(join(service, 'releases'))) {
    whole[version] = 0;
    for (let n = 0; n < FILES; n += 1) {
      const text = await readFile(join(service, 'releases', version, 'dir', `file-${n}`), 'utf8').catch(
        () => '',
      );
      if (text === `${n} of ${version}`) whole[version] += 1;
    }
  }
  return { whole, left: (await readdir(join(service, '.staging'), { recursive: true })).length };
}

test('an agent that is killed while it deletes an old release loses nothing else, and the next one deletes the rest', async () => {
  const seed = seedOfDay(SEED);
  const n = 1 + randomOf(seed).below(FILES);
  const repeated = `${SEED}=${seed} repeats it`;
  agentEnv.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(dyingAt(n))}`;
  const instance = await world.fleet.addInstance('i-0a1', cheapServices);
  for (let version = 1; version <= KEPT; version += 1) {
    expect(await deploy(instance, `${version}`)).toMatchObject({ state: 'succeeded' });
  }
  const fourth = deploy(instance, '4');
  await instance.agent?.finished;
  expect(instance.agent?.process.signalCode, repeated).toBe('SIGKILL');
  const killed = await found(instance);
  expect(killed.whole, repeated).toEqual({ 2: FILES, 3: FILES, 4: FILES });
  expect(killed.left, repeated).toBeGreaterThanOrEqual(FILES - n + 1);
  expect(await currentOf(instance)).toBe('4');

  agentEnv.NODE_OPTIONS = '';
  await world.fleet.startAgent(instance);
  expect(await fourth).toMatchObject({ state: 'succeeded' });
  expect((await found(instance)).whole, repeated).toEqual(killed.whole);
  expect(await deploy(instance, '5')).toMatchObject({ state: 'succeeded' });
  // Nothing is opened before release 2 is gone: a release with an open file is kept.
  const releases = () => readdir(join(instance.dir, SERVICE, 'releases'));
  await expect.poll(releases).not.toContain('2');
  await expect.poll(() => found(instance)).toEqual({ whole: { 3: FILES, 4: FILES, 5: FILES }, left: 0 });
  expect(await currentOf(instance)).toBe('5');
  proved(
    'prune',
    'a SIGKILL within the deletion of a release: the others are whole, the next agent deletes the rest',
  );
});
