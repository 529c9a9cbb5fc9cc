import { rm } from 'node:fs/promises';
import { sleepUnlessAborted } from '../../../shared/abort.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { ignoreCode, lstatIfAny, makeDirectories, openNoFollow, readRange } from '../fs/durable-files.ts';
import type { RunCommand } from '../process/run-command.ts';
import { askSystemd, tellSystemd } from '../process/systemctl.ts';

/**
 * Runs dpkg in a transient systemd unit, so that dpkg finishes even if the agent ends. The output goes to a file,
 * because a pipe would break when the agent ends. `settle` waits for a run that an earlier agent started.
 */

/** How a run of dpkg ended. dpkg-query tells what the run has changed. */
export interface DpkgRun {
  /**
   * `interrupted`: killed by an operator or by the OOM killer. `timed out`: killed by the agent, or by systemd after
   * RuntimeMaxSec.
   */
  ending: 'done' | 'failed' | 'interrupted' | 'timed out';
  output: string;
}

const CALL_TIMEOUT_MS = 30_000;
const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** systemd ends a run this many seconds after the agent's timeout, in case no agent runs. */
const SPARE_S = 60;
/** How long a shutdown waits for a running dpkg, s. */
const SHUTDOWN_WAITS_S = 120;
/** How long a process may take to end after KILL, ms. */
const AFTER_KILL_MS = 10_000;
const OUTPUT_LIMIT = 32 * 1024;

export const unitArgv = {
  /** All these options exist in systemd 247 to 257. */
  run: (unit: string, argv: readonly string[], { log, timeout }: { log: string; timeout: number }) => [
    ...['systemd-run', '--quiet', `--unit=${unit}`, '--service-type=exec'],
    ...['--description=dpkg for trigger-deploy', '--property=StandardInput=null'],
    ...[`--property=StandardOutput=append:${log}`, `--property=StandardError=append:${log}`],
    // At a shutdown systemd sends SIGCONT, which has no effect, to dpkg, and waits. When dpkg has ended, or after the
    // timeout, systemd kills all processes of the unit: no maintainer script outlives its dpkg.
    ...['--property=KillMode=mixed', '--property=KillSignal=SIGCONT'],
    ...[`--property=TimeoutStopSec=${SHUTDOWN_WAITS_S}`],
    `--property=RuntimeMaxSec=${Math.ceil(timeout / 1000) + SPARE_S}`,
    ...['--setenv=DEBIAN_FRONTEND=noninteractive', '--setenv=LC_ALL=C.UTF-8'],
    '--setenv=HOME=/root',
    '--setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...argv,
  ],
  show: (unit: string) => ['systemctl', 'show', unit, '--property=LoadState,ActiveState,Result'],
  kill: (unit: string) => ['systemctl', 'kill', '--signal=KILL', unit],
  resetFailed: (unit: string) => ['systemctl', 'reset-failed', unit],
  list: (pattern: string) => [
    ...['systemctl', 'list-units', '--all', '--plain', '--no-legend', '--no-pager', '--full', pattern],
  ],
  reload: ['systemctl', 'daemon-reload'],
};

/** Whether `unit` is a dpkg unit of this service, of whichever deployment. */
export function isUnitOf(service: string, unit: string): boolean {
  const prefix = `trigger-deploy-${service}-`;
  return (
    unit.startsWith(prefix) && /^[0-9A-Z]{26}-(forward|back)-\d+\.service$/.test(unit.slice(prefix.length))
  );
}

export interface DpkgUnits {
  /** Runs dpkg in `unit` and waits for its end. When `signal` aborts, the wait ends; dpkg continues. */
  run(unit: string, argv: readonly string[], signal: AbortSignal): Promise<DpkgRun>;
  /** Waits for running dpkg units of this service; kills them at the timeout. @throws DPKG_FAILED if one survives. */
  settle(signal: AbortSignal): Promise<void>;
  /** Makes systemd read the unit files again. */
  reload(signal: AbortSignal): Promise<void>;
}

/** dpkg's output goes to `dpkg.log` in `dir`. `timeout` is for one run of dpkg, ms. `start` runs systemd-run. */
export function createDpkgUnits(options: {
  service: string;
  dir: string;
  timeout: number;
  start: RunCommand;
}): DpkgUnits {
  const { service, dir, timeout, start } = options;
  const log = `${dir}/dpkg.log`;

  /** @throws COMMAND_FAILED when systemd does not answer for half a minute. */
  async function ask(argv: readonly string[], signal: AbortSignal): Promise<string> {
    const { exitCode, stdout, output } = await askSystemd(argv, { signal, timeout: CALL_TIMEOUT_MS });
    if (exitCode === 0) return stdout;
    const what = argv.slice(0, 3).join(' ');
    throw new TriggerDeployError('COMMAND_FAILED', `${what} did not succeed`, { detail: output });
  }

  async function stateOf(unit: string, signal: AbortSignal) {
    const stdout = await ask(unitArgv.show(unit), signal);
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    return { load: value('LoadState'), active: value('ActiveState'), result: value('Result') };
  }

  /**
   * The unit's result; undefined if the unit has not ended within `ms`. systemd unloads a unit that succeeded: a unit
   * that does not exist counts as a success.
   */
  async function endOf(unit: string, ms: number, signal: AbortSignal): Promise<string | undefined> {
    const end = performance.now() + ms;
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(LONGEST_POLL_MS, 1.5 * pause)) {
      const { load, active, result } = await stateOf(unit, signal);
      if (load === 'not-found') return 'success';
      if (active === 'failed') return result;
      if (performance.now() >= end) return undefined;
      await sleepUnlessAborted(pause, signal);
    }
  }

  /** Waits for the unit, and kills it at the timeout. Afterwards the unit's name can be used again. */
  async function finish(unit: string, signal: AbortSignal): Promise<DpkgRun['ending']> {
    let result = await endOf(unit, timeout, signal);
    const inTime = result !== undefined;
    if (!inTime) {
      const isGone = async () => (await endOf(unit, 0, signal)) !== undefined;
      await tellSystemd(unitArgv.kill(unit), { signal, isDone: isGone });
      result = await endOf(unit, AFTER_KILL_MS, signal);
    }
    if (result === undefined) {
      throw new TriggerDeployError('DPKG_FAILED', `${unit} still runs after a KILL`, {
        hint: `systemctl status ${unit}`,
      });
    }
    // A refusal is ignored: there is nothing to reset then.
    if (result !== 'success') await tellSystemd(unitArgv.resetFailed(unit), { signal });
    if (!inTime || result === 'timeout') return 'timed out';
    if (result === 'success') return 'done';
    return result === 'exit-code' ? 'failed' : 'interrupted';
  }

  return {
    async run(unit, argv, signal) {
      await makeDirectories(dir, 0o755);
      await rm(log, { force: true });
      // systemd makes the log when it starts the unit, and unloads a unit that has succeeded.
      const isStarted = async () =>
        (await stateOf(unit, signal)).load !== 'not-found' || (await lstatIfAny(log)) !== undefined;
      const refusal = await tellSystemd(unitArgv.run(unit, argv, { log, timeout }), {
        ...{ signal, timeout: CALL_TIMEOUT_MS, run: start, isDone: isStarted },
      });
      if (refusal) {
        throw new TriggerDeployError('DPKG_FAILED', 'systemd-run could not start dpkg', {
          detail: refusal.output,
        });
      }
      const ending = await finish(unit, signal);
      return { ending, output: await tailOf(log) };
    },

    async settle(signal) {
      const stdout = await ask(unitArgv.list(`trigger-deploy-${service}-*.service`), signal);
      const names = stdout.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? '');
      for (const unit of names.filter((name) => isUnitOf(service, name))) await finish(unit, signal);
    },

    async reload(signal) {
      await tellSystemd(unitArgv.reload, { signal });
    },
  };
}

async function tailOf(path: string): Promise<string> {
  const handle = await openNoFollow(path).catch(ignoreCode('ENOENT', undefined));
  if (!handle) return '';
  try {
    const { size } = await handle.stat();
    return (await readRange(handle, Math.max(0, size - OUTPUT_LIMIT), OUTPUT_LIMIT)).toString();
  } finally {
    await handle.close();
  }
}
