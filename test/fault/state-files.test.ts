import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Journal } from '../../agent/deploy/ports.ts';
import { type ServiceState, serviceState } from '../../agent/deploy/state.ts';
import { openCommandRegistry } from '../../agent/host/process/command-registry.ts';
import { findProcess } from '../../agent/host/process/proc.ts';
import { createCommandManager } from '../../agent/host/services/command-manager.ts';
import { createJournal } from '../../agent/host/state/journal.ts';
import { live } from '../support/fleet/agent-life.ts';
import { createFakePorts, createModel, orderOf, serviceConfig } from '../support/fleet/fake-ports.ts';
import { calm, systemClock } from '../support/host/clock.ts';
import { proved } from '../support/reliability.ts';
import { quickDirectory } from './support/disk/recording.ts';
import {
  contentsOf,
  openPackage,
  PACKAGE_TYPES,
  type PackageName,
  prepare,
  readContents,
} from './support/disk/world.ts';

/** Every file the agent keeps, cut off after each of its bytes, and with each of its bytes altered. */

const parse = (value: unknown) => serviceState.parse(value);

/** What became of a byte: a flipped bit, a hole, the end of a line. In turns, so that every byte meets one. */
const DAMAGES: readonly ((byte: number) => number)[] = [
  (byte) => byte ^ 0x01,
  (byte) => (byte === 0 ? 0xff : 0),
  (byte) => (byte === 0x0a ? 0x20 : 0x0a),
];

function damaged(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = DAMAGES[at % DAMAGES.length]?.(bytes[at] ?? 0) ?? 0;
  return copy;
}

/** The journal of a real deployment, its last records: their states, and where each ends. */
async function realJournal(path: string, count: number) {
  const states: ServiceState[] = [];
  const journal = createJournal({ path, parse });
  const ports = createFakePorts(createModel());
  const recording: Journal = {
    load: journal.load,
    async append(state) {
      await journal.append(state);
      states.push(state);
    },
  };
  const life = await live(createModel(), serviceConfig(), { ...ports, journal: recording });
  await life.worker.accept(orderOf('1.0.0'));
  await life.reached(() => states.at(-1)?.running != null && states.at(-1)?.outbox.length === 0);
  await life.stop();
  const lines = (await readFile(path)).toString('latin1').split('\n').slice(0, -1).slice(-count);
  const bytes = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  let end = 0;
  const ends = lines.map((line) => {
    end += line.length + 1;
    return end;
  });
  return { bytes, ends, states: states.slice(-count) };
}

test('of a journal cut off anywhere the last whole record is the state', async () => {
  const path = join(await quickDirectory(), 'payments.journal');
  const { bytes, ends, states } = await realJournal(path, 2);
  for (let length = 0; length <= bytes.length; length += 1) {
    await writeFile(path, bytes.subarray(0, length));
    const { state, quarantined } = await createJournal({ path, parse }).load();
    const whole = ends.filter((end) => end - 1 <= length).length;
    expect(state, `cut at ${length}`).toEqual(states[whole - 1]);
    expect(quarantined === undefined, `cut at ${length}`).toBe(length === 0 || ends.includes(length));
  }
  proved('state-files', 'journal: a real one of 2 records, cut off after each of its bytes');
});

test('of a journal with any byte gone bad the last whole record is the state', async () => {
  const path = join(await quickDirectory(), 'payments.journal');
  const { bytes, ends, states } = await realJournal(path, 2);
  for (let at = 0; at < bytes.length; at += 1) {
    await writeFile(path, damaged(bytes, at));
    const { state, quarantined } = await createJournal({ path, parse }).load();
    const hit = ends.findIndex((end) => at < end);
    // Without the newline between them, two records are one bad line.
    const lost = ends.includes(at + 1) ? [hit, hit + 1] : [hit];
    const last = [1, 0].find((index) => !lost.includes(index));
    expect(state, `altered at ${at}`).toEqual(last === undefined ? undefined : states[last]);
    expect(quarantined, `altered at ${at}`).toMatch(/\.corrupt-/);
  }
  proved('state-files', 'journal: the same with each of its bytes altered');
});

async function currentRelease(type: PackageName) {
  const dir = join(await quickDirectory(), 'payments');
  const pkg = openPackage(type, dir);
  await prepare(pkg, '1');
  await pkg.switchTo('1');
  const release = join(dir, 'releases', '1');
  const record = join(release, '.release.json');
  const [bytes, { ino }] = [await readFile(record), await stat(release)];
  const isListed = async () => (await pkg.releases()).some(({ version }) => version === '1');
  return {
    bytes,
    /** Whatever its record says, `current` is read, and a deploy of the version repairs it in place. */
    async expectRepaired(content: Buffer, what: string): Promise<boolean> {
      await writeFile(record, content);
      expect(await pkg.current(), what).toBe('1');
      const listed = await isListed();
      await prepare(pkg, '1');
      expect(await isListed(), what).toBe(true);
      expect((await stat(release)).ino, what).toBe(ino);
      expect(await readContents(release), what).toEqual(contentsOf(type, '1'));
      return listed;
    },
  };
}

test.each(PACKAGE_TYPES)(
  "a %s release's record cut off or altered at any byte makes it incomplete, and a deploy repairs it",
  async (type) => {
    const { bytes, expectRepaired } = await currentRelease(type);
    // An archive is downloaded and unpacked again to compare: every byte would take minutes.
    const stride = type === 'jar' ? 1 : 16;
    for (let at = 0; at < bytes.length; at += stride) {
      const cut = await expectRepaired(bytes.subarray(0, at), `cut at ${at}`);
      expect(cut, `cut at ${at}`).toBe(at === bytes.length - 1);
      const altered = damaged(bytes, at);
      // Spaces may have become newlines: then it says the same.
      const same = isDeepSame(altered, bytes);
      expect(await expectRepaired(altered, `altered at ${at}`), `altered at ${at}`).toBe(same);
    }
    const every = stride === 1 ? 'each byte' : `every ${stride}th byte`;
    proved('state-files', `.release.json of a ${type}: cut off after and altered at ${every}`);
  },
);

function isDeepSame(altered: Buffer, bytes: Buffer): boolean {
  try {
    return (
      JSON.stringify(JSON.parse(altered.toString('utf8'))) ===
      JSON.stringify(JSON.parse(bytes.toString('utf8')))
    );
  } catch {
    return false;
  }
}

const PID_GARBAGE = [
  '',
  '\n',
  'abc',
  '-1',
  '0',
  '00001',
  '1e3',
  '1 2',
  '12\0',
  '99999999999',
  '4194305',
  '\u0661',
  'x'.repeat(100_000),
];

test('a pid file that holds anything but a pid names no process, and ends none', async () => {
  const directory = await quickDirectory();
  const pidFile = join(directory, 'service.pid');
  const manager = createCommandManager({
    start: ['/bin/true'],
    stop: ['/bin/true'],
    status: ['/bin/false'],
    pidFile,
    environment: {},
    startTimeout: 1000,
    stopTimeout: 1000,
    clock: systemClock,
  });
  const expectNobody = async (what: string) => {
    expect(await manager.status(calm), what).toMatchObject({
      active: false,
      mainPid: null,
      invocation: null,
    });
    await manager.stop(calm);
  };
  for (const garbage of PID_GARBAGE) {
    await writeFile(pidFile, garbage);
    await expectNobody(JSON.stringify(garbage.slice(0, 20)));
  }
  await rm(pidFile);
  await mkdir(pidFile);
  await expectNobody('a directory');
  await rm(pidFile, { recursive: true });
  await writeFile(join(directory, 'elsewhere'), String(process.pid));
  await symlink('elsewhere', pidFile);
  await expectNobody('a link');
  proved('state-files', `pid file: ${PID_GARBAGE.length + 2} kinds of garbage`);
});

test('the note of a command, cut off anywhere, ends no other process, and is removed', async () => {
  const directory = join(await quickDirectory(), 'commands');
  await mkdir(directory);
  const bystander = spawn('/bin/sleep', ['300'], { detached: true, stdio: 'ignore' });
  onTestFinished(() => void bystander.kill('SIGKILL'));
  const { pid = 0 } = bystander;
  const startTime = (await findProcess(pid))?.startTime;
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const note = JSON.stringify({ boot, group: pid, startTime, whenLeft: 'end', until: Date.now() + 60_000 });
  const path = join(directory, `${pid}.json`);
  const settle = async (content: string) => {
    await writeFile(path, content);
    const { repeatable } = await openCommandRegistry(directory, calm);
    expect(await repeatable(['/bin/true'], { signal: calm, timeout: 5000 })).toMatchObject({ exitCode: 0 });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  };
  for (let length = 0; length < note.length; length += 8) await settle(note.slice(0, length));
  await settle(note.replace(`"startTime":"${startTime}"`, '"startTime":"1"'));
  await settle(note.replace(boot, 'another-boot'));
  expect(await findProcess(pid)).toBeDefined();
  // Whole, it is what a killed agent left under way: so the rest was not in vain.
  const gone = once(bystander, 'exit');
  await settle(note);
  await gone;
  proved(
    'state-files',
    'notes of commands under way: cut off at every 8th byte, of another boot, of another process',
  );
});
