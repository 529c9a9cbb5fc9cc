import { copyFile, link, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TriggerDeployError } from '../../../shared/errors.ts';
import {
  fsyncDirectory,
  ignoreCode,
  lstatIfAny,
  makeDirectories,
  makeNew,
  pointAt,
  readNoFollow,
  syncTree,
  systemCode,
  writeDurably,
} from '../fs/durable-files.ts';
import { removeLeftover } from '../fs/leftovers.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';
import { tellSystemd } from '../process/systemctl.ts';

/**
 * The agent's side of a self-update. The guard, a script (systemd/agent/self-update), replaces the agent with another
 * version. Agent and guard share a directory, which is complete or absent. The guard is a systemd unit of its own,
 * which stays enabled until the guard has finished.
 */

/** What the guard is to do. */
export interface GuardOrder {
  deployment: string;
  package: string;
  from: string;
  to: string;
  unit: string;
  /** How long the new version may take from its start to its verdict `keep`, ms. */
  within: number;
  /** How long the new version may take from its start until it is ready, ms. */
  startsWithin: number;
  /** How long an agent may take to stop, ms. An agent that stops waits for a running hook. */
  stopsWithin: number;
  /** How long to wait for the dpkg lock of another process, ms. */
  lockWithin: number;
}

/** `keep`: the new version stays. `back`: the guard restores the old version. */
export type Verdict = { kind: 'keep' } | { kind: 'back'; code: string; reason: string; detail: string };

export interface Guard {
  /** The last order, undefined when there is none. */
  order(): Promise<GuardOrder | undefined>;
  verdict(): Promise<Verdict | undefined>;
  /**
   * Writes a verdict, unless there is one already. Returns the first verdict, which counts; on disk when it resolves.
   */
  decide(kind: 'keep' | 'back', why?: { code: string; reason: string }): Promise<Verdict>;
  /** Whether a guard was started and has not finished: its unit file exists. */
  isUnderWay(): Promise<boolean>;
  /**
   * Writes the guard's directory, but does not start the guard. @throws START_FAILED if an earlier guard does not end.
   */
  prepare(order: GuardOrder, debs: { old: string; new: string }, signal: AbortSignal): Promise<void>;
  /** Enables and starts the guard, unless it is running. @throws START_FAILED. */
  start(signal: AbortSignal): Promise<void>;
  /** Removes the record of `restart`, and the directory of a guard that has finished. */
  cleanUp(): Promise<void>;
  /** Restarts `unit`, without waiting. `process` identifies the caller: it is recorded for `isRestarted`. */
  restart(unit: string, process: string, signal: AbortSignal): Promise<void>;
  /** Whether a process other than `process`, so an earlier one, has called `restart`. */
  isRestarted(process: string): Promise<boolean>;
}

const GUARD_UNIT = 'trigger-deploy-agent-update.service';
const CALL_TIMEOUT_MS = 15_000;
const POLL_MS = 200;
/** How long to wait for an earlier guard, ms. Its update is decided: it only has to remove its files. */
const EARLIER_GUARD_TIMEOUT = 60_000;
const FILE_LIMIT = 64 * 1024;
/** Allowed in the order's values, which the guard reads as shell assignments: nothing that a shell would execute. */
const VALUE = /^[A-Za-z0-9._+~@:-]+$/;

export function createGuard(options: {
  /** The directory that agent and guard share, below the state directory. */
  directory: string;
  /** The script of the guard, in the running agent's package. */
  script: string;
  unitDirectory?: string;
  run?: RunCommand;
}): Guard {
  const { directory, script, unitDirectory = '/etc/systemd/system', run = runCommand } = options;
  const unit = join(unitDirectory, GUARD_UNIT);
  const wanted = join(unitDirectory, 'multi-user.target.wants', GUARD_UNIT);
  const restarting = `${directory}.restart`;
  const read = async (name: string) =>
    (
      await readNoFollow(join(directory, name), FILE_LIMIT).catch(ignoreCode('ENOTDIR', undefined))
    )?.toString();

  async function verdict(): Promise<Verdict | undefined> {
    const text = await read('verdict');
    if (text === undefined) return undefined;
    const [kind, code = '', reason = ''] = text.split('\n');
    if (kind === 'keep') return { kind };
    return { kind: 'back', code, reason, detail: (await read('detail')) ?? '' };
  }

  const isUnderWay = async () => (await lstatIfAny(unit)) !== undefined;

  async function systemctl(signal: AbortSignal, ...words: string[]): Promise<void> {
    const argv = ['systemctl', ...words];
    // Each of them may be repeated: a guard that runs is not started again, and the restart ends this process.
    const refusal = await tellSystemd(argv, { signal, timeout: CALL_TIMEOUT_MS, run });
    if (!refusal) return;
    const { output } = refusal;
    throw new TriggerDeployError('START_FAILED', `${argv.join(' ')} did not succeed`, { detail: output });
  }

  return {
    verdict,
    isUnderWay,

    async order() {
      const text = await read('order');
      return text === undefined ? undefined : parseOrder(text);
    },

    async decide(kind, why = { code: '', reason: '' }) {
      const path = join(directory, 'verdict.agent');
      await writeDurably(path, [kind, why.code, why.reason.replace(/\s+/g, ' '), ''].join('\n'));
      try {
        await link(path, join(directory, 'verdict'));
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
      await removeLeftover(path);
      await fsyncDirectory(directory);
      const effective = await verdict();
      if (!effective)
        throw new Error('the result of the self-update was written, but it cannot be read back');
      return effective;
    },

    async prepare(order, debs, signal) {
      const end = performance.now() + EARLIER_GUARD_TIMEOUT;
      while (await isUnderWay()) {
        if (performance.now() > end) {
          throw new TriggerDeployError('START_FAILED', 'an earlier update of the agent is still running', {
            hint: `systemctl status ${GUARD_UNIT}`,
          });
        }
        await sleep(POLL_MS, undefined, { signal });
      }
      const next = `${directory}.new`;
      await makeRoom(next);
      await makeDirectories(dirname(directory), 0o700);
      await makeNew(next, 0o700);
      await writeDurably(join(next, 'order'), formatOrder(order));
      await copyFile(script, join(next, 'guard'));
      for (const [name, deb] of Object.entries(debs)) await place(deb, join(next, `${name}.deb`));
      await syncTree(next);
      await makeRoom(directory);
      await rename(next, directory);
      await fsyncDirectory(dirname(directory));
    },

    async start(signal) {
      await writeDurably(unit, guardUnit(directory), 0o644);
      await mkdir(dirname(wanted), { recursive: true });
      await pointAt(wanted, unit);
      await systemctl(signal, 'daemon-reload');
      await systemctl(signal, 'start', '--no-block', GUARD_UNIT);
    },

    async cleanUp() {
      const [above, name] = [dirname(directory), basename(directory)];
      const names = await readdir(above).catch(() => [] as string[]);
      for (const one of names.filter((one) => one.startsWith(`${name}.`))) {
        await removeLeftover(join(above, one));
      }
      if (!(await isUnderWay())) await removeLeftover(directory);
    },

    async restart(unit, process, signal) {
      await makeDirectories(dirname(restarting), 0o700);
      await writeDurably(restarting, process);
      await systemctl(signal, 'restart', '--no-block', unit);
    },

    async isRestarted(process) {
      const asked = (await readNoFollow(restarting, FILE_LIMIT))?.toString();
      return asked !== undefined && asked !== process;
    },
  };
}

/** Removes what is at `path`. What cannot be removed is moved aside, for `cleanUp`. */
async function makeRoom(path: string): Promise<void> {
  if (!(await removeLeftover(path))) await rename(path, `${path}.${process.hrtime.bigint()}`);
}

/** Links a .deb into the guard's directory, so that it is not stored twice; copies it to another file system. */
async function place(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error) => {
    if (systemCode(error) !== 'EXDEV') throw error;
    await copyFile(from, to);
  });
}

/** The text of the guard's unit. systemd restarts the guard after a failure, and starts it at each boot. */
function guardUnit(directory: string): string {
  const path = join(directory, 'guard')
    .replace(/[\\"]/g, '\\$&')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$');
  return `[Unit]
Description=update of the trigger-deploy agent
StartLimitIntervalSec=0

[Service]
Environment=HOME=/root
ExecStart=/bin/sh "${path}"
Restart=on-failure
RestartSec=5s
# A stop waits for a running dpkg.
KillMode=process
TimeoutStopSec=300s

[Install]
WantedBy=multi-user.target
`;
}

const seconds = (ms: number) => String(Math.ceil(ms / 1000));

function formatOrder(order: GuardOrder): string {
  const values = {
    DEPLOYMENT: order.deployment,
    PACKAGE: order.package,
    FROM: order.from,
    TO: order.to,
    UNIT: order.unit,
    OWN_UNIT: GUARD_UNIT,
    WITHIN: seconds(order.within),
    START_WITHIN: seconds(order.startsWithin),
    STOPS_WITHIN: seconds(order.stopsWithin),
    LOCK_WITHIN: seconds(order.lockWithin),
  };
  return Object.entries(values)
    .map(([name, value]) => {
      if (!VALUE.test(value)) throw new Error(`${name}: invalid value ${value}`);
      return `${name}=${value}\n`;
    })
    .join('');
}

function parseOrder(text: string): GuardOrder {
  const values = new Map(text.split('\n').map((line) => line.split('=', 2) as [string, string]));
  const value = (name: string) => values.get(name) ?? '';
  return {
    deployment: value('DEPLOYMENT'),
    package: value('PACKAGE'),
    from: value('FROM'),
    to: value('TO'),
    unit: value('UNIT'),
    within: Number(value('WITHIN')) * 1000,
    startsWithin: Number(value('START_WITHIN')) * 1000,
    stopsWithin: Number(value('STOPS_WITHIN')) * 1000,
    lockWithin: Number(value('LOCK_WITHIN')) * 1000,
  };
}
