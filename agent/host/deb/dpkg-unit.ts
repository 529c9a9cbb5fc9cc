import { truncate } from 'node:fs/promises';
import { sleepUnlessAborted } from '../../../shared/abort.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { ignoreCode, makeDirectories, openNoFollow, readRange } from '../fs/durable-files.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';

/**
 * Runs dpkg in a transient systemd unit, so that it finishes even if the agent ends. Its output goes to a file, because
 * a pipe would break with the agent. One run at a time: a run waits for one that was started before a restart
 * of the agent.
 */

/** How a run ended. What it did is read with dpkg-query. */
export interface DpkgRun {
  /** `interrupted`: killed by an operator or by the OOM killer. `timed out`: killed by the agent. */
  ending: 'done' | 'failed' | 'interrupted' | 'timed out';
  output: string;
}

const CALL_TIMEOUT_MS = 30_000;
const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** Added to the agent's timeout, s: systemd ends the run if no agent is there to do it. */
const SPARE_S = 60;
/** How long a shutdown waits for a dpkg under way, s. */
const SHUTDOWN_WAITS_S = 120;
/** How long a process may take to end after KILL, ms. */
const AFTER_KILL_MS = 10_000;
const OUTPUT_LIMIT = 32 * 1024;

export const unitArgv = {
  /** Options that systemd 247 to 257 has. */
  run: (unit: string, argv: readonly string[], { log, timeout }: { log: string; timeout: number }) => [
    ...['systemd-run', '--quiet', `--unit=${unit}`, '--service-type=exec'],
    ...['--description=dpkg for trigger-deploy', '--property=StandardInput=null'],
    ...[`--property=StandardOutput=append:${log}`, `--property=StandardError=append:${log}`],
    // A shutdown sends dpkg SIGCONT, which has no effect, and waits; after the timeout, or when dpkg has ended, all
    // processes get KILL, so no maintainer script outlives its dpkg.
    ...['--property=KillMode=mixed', '--property=KillSignal=SIGCONT'],
    ...[`--property=TimeoutStopSec=${SHUTDOWN_WAITS_S}`],
    `--property=RuntimeMaxSec=${Math.ceil(timeout / 1000) + SPARE_S}`,
    ...['--setenv=DEBIAN_FRONTEND=noninteractive', '--setenv=LC_ALL=C.UTF-8'],
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

/** Whether it is a dpkg unit of this service, of any deployment. */
export function isUnitOf(service: string, unit: string): boolean {
  const prefix = `trigger-deploy-${service}-`;
  return (
    unit.startsWith(prefix) && /^[0-9A-Z]{26}-(forward|back)-\d+\.service$/.test(unit.slice(prefix.length))
  );
}

export interface DpkgUnits {
  /** Runs dpkg to its end in `unit`. After an abort of the signal it continues without being waited for. */
  run(unit: string, argv: readonly string[], signal: AbortSignal): Promise<DpkgRun>;
  /** Waits for running dpkg units of this service. @throws DPKG_FAILED when one cannot be ended. */
  settle(signal: AbortSignal): Promise<void>;
  /** Makes systemd read the unit files again. */
  reload(signal: AbortSignal): Promise<void>;
}

/** `log` is the file for the output; `timeout` of one run in ms; `start` runs systemd-run. */
export function createDpkgUnits(options: {
  service: string;
  dir: string;
  timeout: number;
  start: RunCommand;
}): DpkgUnits {
  const { service, dir, timeout, start } = options;
  const log = `${dir}/dpkg.log`;

  const call = (argv: readonly string[], signal: AbortSignal) =>
    runCommand(argv, { signal, timeout: CALL_TIMEOUT_MS, env: { LC_ALL: 'C' } });

  async function stateOf(unit: string, signal: AbortSignal) {
    const { exitCode, stdout, output } = await call(unitArgv.show(unit), signal);
    if (exitCode !== 0) {
      throw new TriggerDeployError('COMMAND_FAILED', `systemctl show ${unit} did not succeed`, {
        detail: output,
      });
    }
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    return { load: value('LoadState'), active: value('ActiveState'), result: value('Result') };
  }

  /** The unit's result; undefined if it has not ended within `ms`. systemd unloads a successful unit. */
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

  /** Waits for the unit, and kills it at the timeout; afterwards its name can be used again. */
  async function finish(unit: string, signal: AbortSignal): Promise<DpkgRun['ending']> {
    let result = await endOf(unit, timeout, signal);
    const inTime = result !== undefined;
    if (!inTime) {
      await call(unitArgv.kill(unit), signal);
      result = await endOf(unit, AFTER_KILL_MS, signal);
    }
    if (result === undefined) {
      throw new TriggerDeployError('DPKG_FAILED', `${unit} still runs after a KILL`, {
        hint: `systemctl status ${unit}`,
      });
    }
    // Fails if there is nothing to reset.
    if (result !== 'success') await call(unitArgv.resetFailed(unit), signal);
    if (!inTime || result === 'timeout') return 'timed out';
    if (result === 'success') return 'done';
    return result === 'exit-code' ? 'failed' : 'interrupted';
  }

  return {
    async run(unit, argv, signal) {
      await makeDirectories(dir, 0o755);
      await truncate(log).catch(ignoreCode('ENOENT', undefined));
      const started = await start(unitArgv.run(unit, argv, { log, timeout }), {
        signal,
        timeout: CALL_TIMEOUT_MS,
      });
      if (started.exitCode !== 0 && (await stateOf(unit, signal)).load === 'not-found') {
        throw new TriggerDeployError('DPKG_FAILED', 'systemd-run could not start dpkg', {
          detail: started.output,
        });
      }
      const ending = await finish(unit, signal);
      return { ending, output: await tailOf(log) };
    },

    async settle(signal) {
      const { stdout } = await call(unitArgv.list(`trigger-deploy-${service}-*.service`), signal);
      const names = stdout.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? '');
      for (const unit of names.filter((name) => isUnitOf(service, name))) await finish(unit, signal);
    },

    async reload(signal) {
      await call(unitArgv.reload, signal);
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
