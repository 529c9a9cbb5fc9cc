import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logOf } from '../support/fleet/agent-log.ts';
import { archiveDownloads } from '../support/fleet/downloads.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { eventsOf } from '../support/publisher/events.ts';
import { proved } from '../support/reliability.ts';
import { addServices, attempt, deploy, push, type Service } from './support/fleet/services.ts';
import { ask } from './support/fleet/settled.ts';

/** The whole agent is started on state that was damaged while it was down. */

let fleet: Fleet;
let service: Service;

beforeAll(async () => {
  fleet = await startFleet();
  ({ payments: service } = await addServices(fleet, 'i-0a1', { payments: {} }));
  await push(service, '1.0.0');
  await push(service, '2.0.0');
  await deploy(service, '1.0.0');
  await deploy(service, '2.0.0');
});
afterAll(() => fleet?.stop());

const journal = () => join(service.instance.dir, 'state', 'services', 'payments.journal');
const current = () => join(service.dir, 'current');
const downloads = () => archiveDownloads(fleet).length;

/** The version that does not run. */
async function other(): Promise<string> {
  return (await ask(service))?.version === '1.0.0' ? '2.0.0' : '1.0.0';
}

async function restartAgent(meanwhile: () => Promise<void>): Promise<void> {
  await fleet.stopAgent(service.instance, 'SIGKILL');
  await meanwhile();
  await fleet.startAgent(service.instance);
}

/** Whole, current and answering, and nothing is left over. */
async function expectRuns(version: string): Promise<void> {
  expect(await readlink(current())).toBe(`releases/${version}`);
  const record = await readFile(join(service.dir, 'releases', version, '.release.json'), 'utf8');
  expect(JSON.parse(record)).toMatchObject({ version });
  expect((await ask(service))?.version).toBe(version);
  // What an interrupted preparation left is removed in the background.
  await expect.poll(() => readdir(join(service.dir, '.staging')), { timeout: 30_000 }).toEqual([]);
}

const half = (bytes: Buffer) => Math.floor(bytes.length / 2);
const flip = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x01, at);
  return copy;
};

const [ASIDE, EMPTIED] = ['was moved aside', 'the journal is empty'];
const DAMAGED_JOURNALS: [name: string, damage: (bytes: Buffer) => Buffer, said: string][] = [
  ['cut off within its last record', (bytes) => bytes.subarray(0, bytes.length - 30), ASIDE],
  ['cut off half-way', (bytes) => bytes.subarray(0, half(bytes)), ASIDE],
  ['empty', () => Buffer.alloc(0), EMPTIED],
  ['nothing but empty lines', (bytes) => Buffer.alloc(bytes.length, '\n'), EMPTIED],
  ['altered in its last record', (bytes) => flip(bytes, bytes.length - 100), ASIDE],
  ['all zeros', (bytes) => Buffer.alloc(bytes.length), ASIDE],
];

const deploying = (version: string) => ['payments', version, '--env', ENV, '--output', 'json'];

test('on a damaged journal the agent starts, says so, and converges without a download', async () => {
  const before = downloads();
  for (const [name, damage, said] of DAMAGED_JOURNALS) {
    const version = await other();
    let deployment = 'none';
    await restartAgent(async () => {
      await writeFile(journal(), damage(await readFile(journal())));
      const announced = await fleet.publisher(...deploying(version), '--no-wait');
      expect(announced.code, announced.stderr).toBe(0);
      // A publisher first settles what the last one left open, and says so.
      deployment = eventsOf(announced).find(({ type }) => type === 'started')?.deployment ?? 'none';
    });
    // Deployments that the journal has half forgotten may be done once more before it.
    await service.instance.agent?.line(
      (line) => line.includes(deployment) && line.includes('"msg":"succeeded"'),
    );
    await expectRuns(version);
    const logged = logOf(service.instance).map(({ msg }) => msg);
    const damages = logged.filter((msg) => msg.includes(ASIDE) || msg.includes(EMPTIED));
    expect(damages, name).toEqual([expect.stringContaining(said)]);
    expect(downloads(), name).toBe(before);
  }
  proved('state-files', `agent: started and converged on ${DAMAGED_JOURNALS.length} damaged journals`);
}, 480_000);

test('a current release whose record is cut off is made whole by a deploy of its version', async () => {
  const version = (await ask(service))?.version ?? '';
  const record = join(service.dir, 'releases', version, '.release.json');
  await restartAgent(async () => writeFile(record, (await readFile(record)).subarray(0, 60)));
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: started with the record of the current release cut off');
});

const GARBAGE: [name: string, make: (path: string) => Promise<unknown>][] = [
  ['a file', (path) => writeFile(path, 'releases/1.0.0')],
  ['a directory', (path) => mkdir(path)],
  ['a link that leaves the directory', (path) => symlink('../../../../../etc', path)],
  ['an absolute link elsewhere', (path) => symlink('/etc/passwd', path)],
];

test('where `current` is garbage, nothing changes, the reason is reported, and moving it away repairs the service', async () => {
  const before = await ask(service);
  const good = await readlink(current());
  const version = await other();
  await restartAgent(() => rm(current()));
  for (const [name, make] of GARBAGE) {
    await make(current());
    const { finished, report } = await attempt(service, version);
    expect(finished.code, name).toBe(1);
    expect(report, name).toMatchObject({
      ...{ state: 'failed', changed: false },
      error: { code: 'RELEASE_CONFLICT', message: expect.stringContaining('current') },
    });
    expect(await ask(service), name).toEqual(before);
    await rm(current(), { recursive: true });
  }
  await symlink(good, current());
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', `agent: ${GARBAGE.length} kinds of garbage in the place of current`);
}, 480_000);

test('where current names a release that is not there, nothing is stopped, and without it the next deploy mends it', async () => {
  const before = await ask(service);
  const version = await other();
  await restartAgent(async () => {
    await rm(current());
    await symlink('releases/9.9.9', current());
  });
  const { report } = await attempt(service, version);
  expect(report).toMatchObject({ state: 'failed', changed: false, error: { code: 'UNDO_IMPOSSIBLE' } });
  expect(await ask(service)).toEqual(before);
  await rm(current());
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: current named a release that is not there');
});

test('garbage in the pid file stops neither the agent nor the service', async () => {
  const pidFile = join(service.dir, 'service.pid');
  const [pid, before] = [await readFile(pidFile), await ask(service)];
  await restartAgent(() => writeFile(pidFile, '-1 garbage\0'));
  expect(service.instance.agent?.process.exitCode).toBeNull();
  expect(await ask(service)).toEqual(before);
  await writeFile(pidFile, pid);
  const version = await other();
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: started with garbage in the pid file');
});
