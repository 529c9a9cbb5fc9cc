import type { Clock } from '../../../shared/clock.ts';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { DETAIL_LIMIT } from '../../../shared/report.ts';
import { formatMs } from '../../../shared/retry.ts';
import type { ServiceManager, ServiceStatus } from '../../deploy/ports.ts';
import { runCommand } from '../process/run-command.ts';

/**
 * Service manager `systemd`: the service is a unit. The pure functions at the top build commands and parse their output
 * (systemctl(1), journalctl(1)). The manager below runs the commands and waits.
 */

const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'MainPID',
  'NRestarts',
  'InvocationID',
  'Result',
  'Job',
] as const;

export const argvFor = {
  show: (unit: string) => ['systemctl', 'show', unit, `--property=${PROPERTIES.join(',')}`],
  resetFailed: (unit: string) => ['systemctl', 'reset-failed', unit],
  restart: (unit: string) => ['systemctl', 'restart', '--no-block', unit],
  stop: (unit: string) => ['systemctl', 'stop', '--no-block', unit],
  kill: (unit: string) => ['systemctl', 'kill', '-s', 'KILL', unit],
  /** `since` in ms since the epoch. */
  log: (unit: string, since: number) => [
    'journalctl',
    '-u',
    unit,
    '--since',
    `@${Math.floor(since / 1000)}`,
    '-n',
    '200',
    '-o',
    'cat',
    '--no-pager',
    '-q',
  ],
};

export interface UnitState {
  /** `loaded`, `not-found`, `masked`, `bad-setting`, … */
  load: string;
  /** `active`, `inactive`, `activating`, `deactivating`, `failed`, `reloading`, … */
  active: string;
  sub: string;
  mainPid: number | null;
  restarts: number;
  /** The invocation ID of the last start; null if the unit never started, or if systemd is older than 232. */
  invocation: string | null;
  /** `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, … */
  result: string;
  /** Whether a job of the unit, such as a start or a stop, is queued or running. */
  busy: boolean;
}

/** Parses the output of `systemctl show UNIT --property=…`, a `Name=value` per line. A property may be missing. */
export function parseShow(text: string): UnitState {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1).trim());
  }
  const count = (name: string) => Number.parseInt(values.get(name) ?? '', 10) || 0;
  return {
    load: values.get('LoadState') ?? 'unknown',
    active: values.get('ActiveState') ?? 'unknown',
    sub: values.get('SubState') ?? 'unknown',
    mainPid: count('MainPID') || null,
    restarts: count('NRestarts'),
    invocation: values.get('InvocationID') || null,
    result: values.get('Result') || 'success',
    busy: count('Job') > 0,
  };
}

export function statusOf(unit: string, state: UnitState): ServiceStatus {
  return {
    active: state.active === 'active',
    failed: state.active === 'failed',
    mainPid: state.mainPid,
    restarts: state.restarts,
    invocation: state.invocation,
    summary: state.load === 'loaded' ? `${state.active} (${state.sub})` : state.load,
    ...(state.load !== 'loaded' && { trouble: loadTrouble(unit, state.load) }),
  };
}

/** The problem of a unit that is not `loaded`, and how to solve it. */
function loadTrouble(unit: string, load: string): { problem: string; hint: string } {
  if (load === 'not-found') {
    return { problem: `${unit} does not exist`, hint: 'install the unit, then run systemctl daemon-reload' };
  }
  if (load === 'masked') return { problem: `${unit} is masked`, hint: `systemctl unmask ${unit}` };
  return {
    problem: `${unit} cannot be loaded: ${load}`,
    hint: `see systemctl status ${unit}; after the repair: systemctl daemon-reload`,
  };
}

/** Whether the unit was started between `before` and `now`. If there are no invocation IDs, the main pid decides. */
function isNewStart(before: UnitState, now: UnitState): boolean {
  if (now.invocation === null) return now.mainPid !== before.mainPid;
  return now.invocation !== before.invocation;
}

/**
 * The progress of a restart. ActiveState `failed` does not always mean that the restart failed: a JVM that is stopped
 * with TERM exits with 143, so the unit is `failed` for a moment, until the queued start begins.
 */
export function restartVerdict(before: UnitState, now: UnitState): 'started' | 'failed' | 'wait' {
  const anew = isNewStart(before, now);
  if (now.active === 'active' && anew) return 'started';
  if (now.active === 'failed' && (anew || !now.busy)) return 'failed';
  // The job has ended and the unit is inactive: a condition or dependency failed, or the service ended at once.
  if (now.active === 'inactive' && !now.busy) return 'failed';
  return 'wait';
}

/** Timeout of one systemctl or journalctl call; normally they answer in milliseconds. */
const CALL_TIMEOUT_MS = 15_000;
/** Pauses between polls: short at first, for services that start quickly, then longer. */
const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** How long a process may take to end after KILL, ms. */
const AFTER_KILL_MS = 10_000;

/** `startTimeout` and `stopTimeout` in ms; a restart may take the sum of both. */
export function createSystemdManager(options: {
  unit: string;
  startTimeout: number;
  stopTimeout: number;
  clock: Clock;
}): ServiceManager {
  const { unit, startTimeout, stopTimeout, clock } = options;

  const call = (argv: readonly string[], signal: AbortSignal) =>
    runCommand(argv, { signal, timeout: CALL_TIMEOUT_MS });

  /** @throws COMMAND_FAILED when systemd does not answer. */
  async function show(signal: AbortSignal): Promise<UnitState> {
    const { exitCode, stdout, output } = await call(argvFor.show(unit), signal);
    if (exitCode !== 0) {
      throw new TriggerDeployError('COMMAND_FAILED', `systemctl show ${unit} did not succeed`, {
        detail: output,
      });
    }
    return parseShow(stdout);
  }

  /** Polls until `done` returns true or `within` ms have passed; returns the last state. */
  async function poll(
    done: (state: UnitState) => boolean | Promise<boolean>,
    within: number,
    signal: AbortSignal,
  ): Promise<{ state: UnitState; inTime: boolean }> {
    const end = clock.monotonic() + within;
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(LONGEST_POLL_MS, pause * 1.5)) {
      const state = await show(signal);
      if (await done(state)) return { state, inTime: true };
      const left = end - clock.monotonic();
      if (left <= 0) return { state, inTime: false };
      await clock.sleep(Math.min(pause, left), signal);
    }
  }

  async function tryRestart(since: number, signal: AbortSignal): Promise<ServiceStatus> {
    const before = await show(signal);
    if (before.load !== 'loaded') {
      const { problem, hint } = loadTrouble(unit, before.load);
      throw startFailed(problem, { hint });
    }
    // The exit code is ignored: the call fails if systemd has unloaded the unit, and then there is nothing to reset.
    await call(argvFor.resetFailed(unit), signal);
    const { exitCode, output } = await call(argvFor.restart(unit), signal);
    if (exitCode !== 0) throw startFailed(`systemd refused to restart ${unit}`, { detail: output });

    const stopEnd = clock.monotonic() + stopTimeout;
    let killed = false;
    const { state, inTime } = await poll(
      async (now) => {
        const stillOld = now.active === 'deactivating' && !isNewStart(before, now);
        if (stillOld && !killed && clock.monotonic() >= stopEnd) {
          killed = true;
          await call(argvFor.kill(unit), signal);
        }
        return restartVerdict(before, now) !== 'wait';
      },
      stopTimeout + startTimeout,
      signal,
    );
    if (inTime && restartVerdict(before, state) === 'started') return statusOf(unit, state);
    const how = `${state.active} (${state.sub}), result ${state.result}`;
    const detail = await logTail(since, signal);
    if (inTime) throw startFailed(`${unit} did not start: ${how}`, { detail });
    throw startFailed(
      `${unit} is not active ${formatMs(stopTimeout + startTimeout)} after its restart: ${how}`,
      {
        detail,
        hint: `\`stopTimeout\` and \`startTimeout\` of the manager in agent.yaml (${formatMs(stopTimeout)}, ${formatMs(startTimeout)}) limit the wait`,
      },
    );
  }

  async function logTail(since: number, signal: AbortSignal): Promise<string> {
    try {
      return (await call(argvFor.log(unit, since), signal)).stdout.slice(-DETAIL_LIMIT);
    } catch (error) {
      signal.throwIfAborted();
      if (isCode(error, 'COMMAND_FAILED')) return '';
      throw error;
    }
  }

  return {
    async status(signal) {
      return statusOf(unit, await show(signal));
    },

    async restart(signal) {
      try {
        return await tryRestart(clock.now(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isCode(error, 'START_FAILED')) throw error;
        throw startFailed(`${unit} could not be restarted: ${messageOf(error)}`, {
          cause: error,
          hint: isCode(error) ? error.hint : undefined,
        });
      }
    },

    async stop(signal) {
      try {
        const { load, active } = await show(signal);
        if (load === 'not-found' || isDown(active)) return;
        const { exitCode, output } = await call(argvFor.stop(unit), signal);
        if (exitCode !== 0) throw stopFailed(`systemd refused to stop ${unit}`, { detail: output });
        if ((await poll((now) => isDown(now.active), stopTimeout, signal)).inTime) return;
        await call(argvFor.kill(unit), signal);
        const last = await poll((now) => isDown(now.active), AFTER_KILL_MS, signal);
        if (!last.inTime) throw stopFailed(`${unit} is still ${last.state.active} after a KILL`);
      } catch (error) {
        signal.throwIfAborted();
        if (isCode(error, 'STOP_FAILED')) throw error;
        throw stopFailed(`${unit} could not be stopped: ${messageOf(error)}`, { cause: error });
      }
    },

    logTail,
  };
}

const isDown = (active: string) => active === 'inactive' || active === 'failed';

type Extra = ConstructorParameters<typeof TriggerDeployError>[2];

function startFailed(message: string, extra?: Extra): TriggerDeployError {
  return new TriggerDeployError('START_FAILED', message, extra);
}

function stopFailed(message: string, extra?: Extra): TriggerDeployError {
  return new TriggerDeployError('STOP_FAILED', message, extra);
}
