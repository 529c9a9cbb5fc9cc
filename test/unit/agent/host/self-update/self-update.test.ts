import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Change, PackageType } from '../../../../../agent/deploy/ports.ts';
import type { ServiceManager } from '../../../../../agent/deploy/service-port.ts';
import type { RunCommand } from '../../../../../agent/host/process/run-command.ts';
import { createGuard } from '../../../../../agent/host/self-update/guard.ts';
import {
  createSelfUpdate,
  type SelfUpdateOptions,
} from '../../../../../agent/host/self-update/self-update.ts';
import { newUlid } from '../../../../../shared/names.ts';
import { createFakePorts, modelRunning, orderOf } from '../../../../support/fleet/fake-ports.ts';
import { calm, systemClock } from '../../../../support/host/clock.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

const NAME = 'trigger-deploy-agent';
const UNIT = 'trigger-deploy-agent.service';
const GUARD = 'trigger-deploy-agent-update.service';
const DEPLOYMENT = newUlid(1_700_000_000_000);

/** An instance on which dpkg has `model.current`, with agents of any version that share the real guard files. */
async function stage(version = '1.0.0') {
  const root = await temporaryDirectory();
  const directory = join(root, 'state', 'self-update');
  const units = join(root, 'units');
  await mkdir(units);
  await writeFile(join(root, 'guard'), '#!/bin/sh\n', { mode: 0o755 });
  const debOf = (of: string) => join(root, `${of}.deb`);
  for (const of of ['1.0.0', '2.0.0']) await writeFile(debOf(of), `deb ${of}`);
  const called: string[] = [];
  const run: RunCommand = async (argv) => {
    called.push(argv.join(' '));
    return { exitCode: 0, timedOut: false, output: '', stdout: '' };
  };
  const guard = createGuard({ directory, script: join(root, 'guard'), unitDirectory: units, run });
  const model = modelRunning(version);
  const ports = createFakePorts(model);
  const agent = (own: string, overrides: Partial<SelfUpdateOptions> = {}) => {
    const self = createSelfUpdate({
      guard,
      name: NAME,
      unit: UNIT,
      own,
      process: `of ${own}`,
      pid: 7,
      debOf,
      missing: () => [],
      within: 30_000,
      startsWithin: 30_000,
      stopsWithin: 120_000,
      reachWithin: 100,
      lockWithin: 60_000,
      installWithin: 60_000,
      clock: systemClock,
      ...overrides,
    });
    return { package: self.package(ports.package), manager: self.manager(ports.manager) };
  };
  /** As the guard does when it is done. */
  const guardEnds = () => rm(join(units, GUARD));
  return { agent, called, directory, guardEnds, guard, model, ports, units };
}

const changeOf = (overrides: Partial<Change> = {}): Change => ({
  deployment: DEPLOYMENT,
  direction: 'forward',
  attempt: 1,
  again: false,
  stop: async () => {},
  note: () => {},
  signal: calm,
  ...overrides,
});

/** Ends the agent as the guard does: its wait ends with the reason of the abort. */
async function endedWhile(work: (signal: AbortSignal) => Promise<unknown>, until: () => Promise<boolean>) {
  const stop = new AbortController();
  const ended = expect(work(stop.signal)).rejects.toThrow('aborted');
  await expect.poll(until).toBe(true);
  stop.abort();
  await ended;
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

type Stage = Awaited<ReturnType<typeof stage>>;

/** The old agent starts the guard for 2.0.0 and is ended. */
async function handedOver(on: Stage, own: PackageType = on.agent('1.0.0').package): Promise<void> {
  await endedWhile(
    (signal) => own.switchTo('2.0.0', changeOf({ signal })),
    async () => on.called.includes(`systemctl start --no-block ${GUARD}`),
  );
}

test("the old agent writes the guard's files, enables and starts it, and waits to be ended", async () => {
  const on = await stage();
  await handedOver(on);
  expect((await readdir(on.directory)).sort()).toEqual(['guard', 'new.deb', 'old.deb', 'order']);
  expect(await readFile(join(on.directory, 'old.deb'), 'utf8')).toBe('deb 1.0.0');
  expect(await readFile(join(on.directory, 'new.deb'), 'utf8')).toBe('deb 2.0.0');
  expect(await readFile(join(on.directory, 'order'), 'utf8')).toMatch(/^FROM=1\.0\.0\nTO=2\.0\.0$/m);
  expect(await readFile(join(on.units, GUARD), 'utf8')).toContain(`"${join(on.directory, 'guard')}"`);
  expect(await readFile(join(on.units, 'multi-user.target.wants', GUARD), 'utf8')).toContain('[Install]');
});

test('an old agent that restarts meanwhile starts the same guard, with the same order', async () => {
  const on = await stage();
  await handedOver(on);
  const before = await stat(join(on.directory, 'order'));
  on.called.length = 0;
  await handedOver(on);
  expect((await stat(join(on.directory, 'order'))).ino).toBe(before.ino);
});

test('the new agent finds the switch done, counts as started once it has reached AWS, and says keep at its commit', async () => {
  const on = await stage();
  await handedOver(on);
  let missing = ['its queue: AWS does not answer'];
  const agent = on.agent('2.0.0', { missing: () => missing, reachWithin: 5000 });
  await agent.package.switchTo('2.0.0', changeOf());
  const started = agent.manager.restart(calm);
  setTimeout(() => {
    missing = [];
  }, 20);
  await started;
  expect(on.called).not.toContain(`systemctl restart --no-block ${UNIT}`);
  expect(await on.guard.verdict()).toBeUndefined();
  await agent.package.commit?.();
  expect(await on.guard.verdict()).toEqual({ kind: 'keep' });
});

test('a new agent that does not reach its queue fails to start, and the error names what it did not reach', async () => {
  const on = await stage();
  await handedOver(on);
  const { manager } = on.agent('2.0.0', { missing: () => ['its queue: access denied'] });
  await expect(manager.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringContaining('has not reached its queue: access denied within'),
  });
});

test('a new agent that rolls back notifies the guard, and waits to be ended', async () => {
  const on = await stage();
  await handedOver(on);
  const { package: own } = on.agent('2.0.0');
  await endedWhile(
    (signal) => own.switchTo('1.0.0', changeOf({ direction: 'back', signal })),
    async () => (await on.guard.verdict())?.kind === 'back',
  );
});

test('the first verdict is final: a new agent that the guard already reverted cannot commit', async () => {
  const on = await stage();
  await handedOver(on);
  await on.guard.decide('back', { code: 'START_FAILED', reason: 'did not prove itself' });
  await expect(on.agent('2.0.0').package.commit?.()).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'did not prove itself',
  });
  expect(await on.guard.decide('keep')).toMatchObject({ kind: 'back' });
});

test('the restored old agent does not install again: it fails with the reason and rolls back at once', async () => {
  const on = await stage();
  await handedOver(on);
  await on.guard.decide('back', { code: 'DPKG_FAILED', reason: 'dpkg could not\ninstall it' });
  await writeFile(join(on.directory, 'detail'), 'no space left');
  await on.guardEnds();
  on.called.length = 0;
  // No verdict on the version that was put back: AWS may be away.
  const { package: own, manager } = on.agent('1.0.0', { missing: () => ['its queue: away'] });
  await expect(own.switchTo('2.0.0', changeOf())).rejects.toMatchObject({
    code: 'DPKG_FAILED',
    message: 'dpkg could not install it',
    detail: 'no space left',
  });
  await own.switchTo('1.0.0', changeOf({ direction: 'back' }));
  await manager.restart(calm);
  expect(on.called).toEqual([]);
  await own.prune(new Set(['1.0.0']));
  expect(await isThere(on.directory)).toBe(false);
});

test('files that the guard still needs are not removed', async () => {
  const on = await stage();
  await handedOver(on);
  await on.agent('1.0.0').package.prune(new Set(['1.0.0']));
  expect(await isThere(join(on.directory, 'order'))).toBe(true);
});

test('a kept version is replaced by an update of its own', async () => {
  const on = await stage();
  await handedOver(on);
  await on.guard.decide('keep');
  await on.guardEnds();
  on.called.length = 0;
  await endedWhile(
    (signal) => on.agent('2.0.0').package.switchTo('1.0.0', changeOf({ direction: 'back', signal })),
    async () => on.called.includes(`systemctl start --no-block ${GUARD}`),
  );
  expect(await on.guard.order()).toMatchObject({ from: '2.0.0', to: '1.0.0' });
});

test('without the .deb of the running version, prepare fails', async () => {
  const on = await stage();
  on.model.releases.clear();
  const order = { ...orderOf('2.0.0', { service: NAME }), fresh: false };
  await expect(on.agent('1.0.0').package.prepare(order, () => {}, calm)).rejects.toMatchObject({
    code: 'UNDO_IMPOSSIBLE',
    hint: `push the .deb of the installed version: trigger-deploy push ${NAME} 1.0.0 FILE.deb`,
  });
});

test('an agent that is not the version in dpkg changes nothing', async () => {
  const on = await stage('1.0.0');
  const order = { ...orderOf('2.0.0', { service: NAME }), fresh: false };
  await expect(on.agent('0.9.0').package.prepare(order, () => {}, calm)).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
    message: `the running agent has version 0.9.0, but the package ${NAME} has version 1.0.0`,
  });
});

test('for a restart the agent is restarted once, and its next process counts as started', async () => {
  const on = await stage();
  const restarted = (manager: ServiceManager) => (signal: AbortSignal) => manager.restart(signal);
  const words = `systemctl restart --no-block ${UNIT}`;
  await endedWhile(restarted(on.agent('1.0.0').manager), async () => on.called.includes(words));
  const next = on.agent('1.0.0', { process: 'another' });
  await next.manager.restart(calm);
  expect(on.called.filter((call) => call === words)).toHaveLength(1);
  // With the deployment's end it is forgotten, and can be asked for again.
  await next.package.prune(new Set(['1.0.0']));
  await endedWhile(
    restarted(next.manager),
    async () => on.called.filter((call) => call === words).length === 2,
  );
});

test('the agent neither stops nor removes itself', async () => {
  const { package: own, manager } = (await stage()).agent('1.0.0');
  await expect(manager.stop(calm)).rejects.toMatchObject({ code: 'STOP_FAILED' });
  await expect(own.switchTo(null, changeOf({ direction: 'back' }))).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
  });
});

test('a leftover of an earlier update that cannot be removed stops nothing', async () => {
  const root = await temporaryDirectory();
  await writeFile(join(root, 'state'), 'a file where the directory should be');
  const guard = createGuard({
    directory: join(root, 'state', 'self-update'),
    script: join(root, 'guard'),
    unitDirectory: root,
  });
  await expect(guard.cleanUp()).resolves.toBeUndefined();
});

test('what an earlier update moved aside is removed before the next one', async () => {
  const on = await stage();
  await mkdir(`${on.directory}.123`, { recursive: true });
  await mkdir(`${on.directory}.new`);
  await on.guard.cleanUp();
  expect(await readdir(join(on.directory, '..'))).toEqual([]);
});

test('the agent itself shows which version runs, whenever its process started', async () => {
  const { agent, ports } = await stage();
  const process = { pid: 7, id: '7 at boot', main: true };
  const older = { process, wanted: false, by: 'a file that was replaced' };
  ports.package.look = async () => ({ shown: [older], hidden: 0, missing: 'a file', hint: 'look' });
  const shownBy = async (own: string, version: string) =>
    (await agent(own).package.look?.(version, [process], new Set([process.id])))?.shown;
  expect(await shownBy('1.0.0', '1.0.0')).toEqual([
    { process, wanted: true, version: '1.0.0', by: 'this agent' },
  ]);
  expect(await shownBy('1.0.0', '2.0.0')).toEqual([
    { process, wanted: false, version: '1.0.0', by: 'this agent' },
  ]);
});
