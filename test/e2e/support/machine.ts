import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunResult, runCommand } from '../../../agent/host/process/run-command.ts';
import { commandLine, confined } from './shell.ts';

/**
 * A Debian instance with systemd as PID 1: an overlay of a root, booted by systemd-nspawn. Its processes and its
 * mounts live in namespaces that end with this process, however it ends. It shares the loopback of this machine.
 */
export interface Machine {
  readonly id: string;
  /** What it has written, while it is off; a copy of this directory is an image of it. */
  readonly disk: string;
  /** Resolves when systemd says that the boot is over. */
  boot(): Promise<void>;
  /** `systemctl reboot`, and the boot that follows. */
  reboot(): Promise<void>;
  /** As if its plug were pulled: SIGKILL to everything in it at once. What it wrote is there at the next boot. */
  powerOff(): Promise<void>;
  /** Runs a command in it to its end, whatever its exit code. @throws when it cannot be run, or is off. */
  run(argv: readonly string[], options?: { timeout?: number; signal?: AbortSignal }): Promise<RunResult>;
  /** What the command wrote to stdout. @throws when it fails, with what it said. */
  ok(argv: readonly string[], options?: { timeout?: number }): Promise<string>;
  /** A file in it, undefined where there is none. It must be running. */
  read(path: string): Promise<string | undefined>;
  /** Running or not. */
  write(path: string, text: string, mode?: number): Promise<void>;
  /** `systemctl enable`, running or not; only for units of /etc and /usr/lib that multi-user.target wants. */
  enable(unit: string): Promise<void>;
  /** The path of `path` of the running instance, as this machine sees it. */
  seen(path: string): string;
  isOn(): boolean;
  /** Off, and nothing of it left. */
  remove(): Promise<void>;
}

export interface MachineOptions {
  id: string;
  /** Lower directories of the overlay, uppermost first. */
  layers: readonly string[];
  /** Where its disk lies: a file system that can be the upper one of an overlay, so no overlay itself. */
  dir: string;
  /** A disk to begin with, which is copied: an image of another instance. */
  image?: string;
}

const BOOT_WITHIN_MS = 60_000;
const END_WITHIN_MS = 60_000;
const COMMAND_MS = 30_000;
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd'];
/**
 * A cgroup of its own, for nspawn calls its cgroups the same in every instance; then the overlay, then the boot.
 * The first process in the namespaces becomes systemd-nspawn, whose only child is the instance's PID 1.
 */
const START = `
set -eu
name=$1 layers=$2 dir=$3
for group in ${CGROUPS.join(' ')}; do
  [ -e "$group/cgroup.procs" ] || continue
  mkdir -p "$group/$name"
  echo 0 >"$group/$name/cgroup.procs"
done
mount -t overlay overlay -o "lowerdir=$layers,upperdir=$dir/disk,workdir=$dir/work" "$dir/root"
exec systemd-nspawn --quiet --register=no --keep-unit -D "$dir/root" -M "$name" -b \
  --console=read-only --link-journal=no --resolv-conf=off
`;

export async function createMachine(options: MachineOptions): Promise<Machine> {
  const { id, dir } = options;
  const disk = join(dir, 'disk');
  const name = `td-${randomBytes(4).toString('hex')}`;
  let nspawn: ChildProcess | undefined;
  let init: number | undefined;

  for (const each of ['root', 'work']) await mkdir(join(dir, each), { recursive: true });
  if (options.image === undefined) await mkdir(disk);
  else await copyDisk(options.image, disk);

  const pidOne = () => {
    if (init === undefined) throw new Error(`${id} is off`);
    return init;
  };
  const within = (argv: readonly string[]) => [
    ...['nsenter', '-t', String(pidOne()), '-a', 'env', '-i', 'LANG=C.UTF-8', 'HOME=/root'],
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...argv,
  ];
  const seen = (path: string) => join('/proc', String(pidOne()), 'root', path);

  async function ended(): Promise<void> {
    if (nspawn && nspawn.exitCode === null && nspawn.signalCode === null) {
      const late = sleep(END_WITHIN_MS, 'late' as const, { ref: false });
      if ((await Promise.race([once(nspawn, 'exit'), late])) === 'late') {
        nspawn.kill('SIGKILL');
        throw new Error(`${id} did not go down: ${consoleTail()}`);
      }
    }
    nspawn = undefined;
    init = undefined;
    for (const group of CGROUPS) await removeCgroup(join(group, name));
  }

  const consoleTail = () => readFileSync(join(dir, 'console.log'), 'utf8').slice(-2000);

  const machine: Machine = {
    id,
    disk,
    seen,
    isOn: () => init !== undefined,

    async boot() {
      if (nspawn) throw new Error(`${id} is on already`);
      const [command = '', ...args] = confined([
        ...['sh', '-c', START, 'start', name, options.layers.join(':'), dir],
      ]);
      const log = openSync(join(dir, 'console.log'), 'a');
      nspawn = spawn(command, args, { stdio: ['ignore', log, log] });
      const late = AbortSignal.timeout(BOOT_WITHIN_MS);
      for (;;) {
        init ??= pidOneOf(nspawn);
        // Not before systemd listens; then it answers when the boot is over.
        if (init !== undefined && existsSync(seen('/run/systemd/private'))) {
          const state = await machine.run(['systemctl', 'is-system-running', '--wait'], {
            timeout: BOOT_WITHIN_MS,
          });
          if (/^(running|degraded)/.test(state.stdout)) return;
        }
        if (late.aborted || nspawn.exitCode !== null) {
          await machine.powerOff();
          throw new Error(`${id} did not boot: ${consoleTail()}`);
        }
        await sleep(20);
      }
    },

    async reboot() {
      await machine.run(['systemctl', 'reboot', '--no-block']);
      await ended();
      await machine.boot();
    },

    async powerOff() {
      try {
        if (init !== undefined) process.kill(init, 'SIGKILL');
        else nspawn?.kill('SIGKILL');
      } catch (error) {
        // It went down by itself just now.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
      await ended();
    },

    async run(argv, { timeout = COMMAND_MS, signal = new AbortController().signal } = {}) {
      return await runCommand(within(argv), { signal, timeout, cwd: '/' });
    },

    async ok(argv, { timeout = COMMAND_MS } = {}) {
      return await commandLine(within(argv), { timeout, cwd: '/' });
    },

    async read(path) {
      try {
        return await readFile(seen(path), 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },

    async write(path, text, mode = 0o644) {
      const file = init === undefined ? join(disk, path) : seen(path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text, { mode });
    },

    async enable(unit) {
      if (init !== undefined) return void (await machine.ok(['systemctl', 'enable', '--quiet', unit]));
      const wants = join(disk, 'etc/systemd/system/multi-user.target.wants');
      await mkdir(wants, { recursive: true });
      const own = existsSync(join(disk, 'etc/systemd/system', unit));
      const target = join(own ? '/etc/systemd/system' : '/usr/lib/systemd/system', unit);
      await rm(join(wants, unit), { force: true });
      await symlink(target, join(wants, unit));
    },

    async remove() {
      if (nspawn) await machine.powerOff();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  await machine.write('/etc/hostname', `${id}\n`);
  // Not empty: an instance without one is a first boot, which enables units by preset.
  if (options.image === undefined)
    await machine.write('/etc/machine-id', `${randomBytes(16).toString('hex')}\n`);
  return machine;
}

/** As it lies there; of a machine that is on, without what goes away meanwhile. */
async function copyDisk(from: string, to: string): Promise<void> {
  const signal = AbortSignal.timeout(END_WITHIN_MS);
  const { exitCode, output } = await runCommand(['cp', '-a', from, to], { signal, timeout: END_WITHIN_MS });
  const problems = output.split('\n').filter((line) => line && !/: No such file or directory$/.test(line));
  if (exitCode !== 0 && problems.length > 0)
    throw new Error(`${from} cannot be copied: ${problems.join('\n')}`);
}

/** unshare → systemd-nspawn → PID 1 of the instance. */
function pidOneOf({ pid }: ChildProcess): number | undefined {
  const [nspawn] = childrenOf(pid);
  const isNspawn = nspawn !== undefined && nameOf(nspawn) === 'systemd-nspawn';
  return isNspawn ? childrenOf(nspawn).find((child) => nameOf(child) === 'systemd') : undefined;
}

function childrenOf(pid: number | undefined): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function nameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Children first: a cgroup is removed only when nothing is left in it, and the kernel takes its time over the last. */
async function removeCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
  }
  for (let waited = 0; ; waited += 20) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || waited > END_WITHIN_MS) throw error;
      await sleep(20);
    }
  }
}
