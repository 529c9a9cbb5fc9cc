import type { Clock } from '../../../shared/clock.ts';
import { formatMs } from '../../../shared/duration.ts';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { beginSpan } from '../../../shared/spans.ts';
import type { ServiceManager, ServiceStatus, StoppedTriggers } from '../../deploy/service-port.ts';
import { controlGroupMembers, familyOf, idOf } from '../process/proc.ts';
import { askSystemd, tellSystemd } from '../process/systemctl.ts';
import { pollUnit } from './poll-unit.ts';
import { fallenTriggers, isUp, lookAtTriggers, startTrigger, stopTrigger } from './triggers.ts';
import { readUnitLog } from './unit-log.ts';
import {
  isChanging,
  isDown,
  isNewStart,
  isRunning,
  loadTrouble,
  PROPERTIES,
  parseShow,
  restartVerdict,
  statusOf,
  type UnitState,
} from './unit-state.ts';

/**
 * Service manager `systemd`: the service is a unit. The manager gives orders (systemctl(1)), and then looks at the unit
 * until it is as ordered: the state of the unit decides, not the exit of a call.
 */

export const argvFor = {
  show: (unit: string) => ['systemctl', 'show', unit, `--property=${PROPERTIES.join(',')}`],
  resetFailed: (unit: string) => ['systemctl', 'reset-failed', unit],
  restart: (unit: string) => ['systemctl', 'restart', '--no-block', unit],
  stop: (unit: string) => ['systemctl', 'stop', '--no-block', unit],
  kill: (unit: string) => ['systemctl', 'kill', '-s', 'KILL', unit],
};

/** After so many polls in a row without a job, a restart that has not begun is ordered again. */
const LOST_AFTER_POLLS = 3;
/** How often the unit is stopped to start its triggers. */
const TRIGGER_TRIES = 3;
/** A unit that systemd has restarted so many times before it was started is in a crash loop. */
const CRASH_LOOP = 3;
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

  const tell = (argv: readonly string[], signal: AbortSignal, isDone?: (now: UnitState) => boolean) =>
    tellSystemd(argv, { signal, clock, ...(isDone && { isDone: async () => isDone(await show(signal)) }) });

  /** @throws COMMAND_FAILED when systemd does not answer for half a minute. */
  async function show(signal: AbortSignal): Promise<UnitState> {
    const { exitCode, stdout, output } = await askSystemd(argvFor.show(unit), { signal, clock });
    if (exitCode !== 0) {
      throw new TriggerDeployError('COMMAND_FAILED', `systemctl show ${unit} did not succeed`, {
        detail: output,
      });
    }
    return parseShow(stdout);
  }

  const poll = (
    done: (state: UnitState) => boolean | Promise<boolean>,
    within: number,
    signal: AbortSignal,
  ): Promise<{ state: UnitState; inTime: boolean }> =>
    pollUnit(() => show(signal), done, { within, clock, signal });

  /**
   * Restarts the unit and awaits its start. Triggers that are up stay up: connections wait in a socket meanwhile. With
   * one that has to run again, the unit is stopped and started instead.
   */
  async function tryRestart(
    since: number,
    stopped: StoppedTriggers,
    signal: AbortSignal,
    isAgain = false,
  ): Promise<ServiceStatus> {
    let before = await show(signal);
    const { triggeredBy } = before;
    if (before.load !== 'loaded') {
      const { problem, hint } = loadTrouble(unit, before.load);
      throw startFailed(problem, { hint });
    }
    // A refusal is ignored: the call fails if systemd has unloaded the unit, and then there is nothing to reset.
    await tell(argvFor.resetFailed(unit), signal);
    const { fallen, needed } = await fallenTriggers(triggeredBy, stopped, { signal, clock });
    const down = new Map<string, string>();
    if (fallen.length > 0) before = await startTriggers(fallen, down, signal);
    await orderRestart(before, signal);
    // A crash loop of the version before may have failed a trigger after the look above.
    const isFallenSince = async () =>
      (await lookAtTriggers(triggeredBy, { signal, clock })).some(
        ({ active, name }) => active === 'failed' && !fallen.includes(name),
      );
    let status: ServiceStatus | undefined;
    try {
      status = await awaitStart(before, since, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isAgain || !(await isFallenSince())) throw error;
    }
    if (!isAgain && (await isFallenSince())) status = undefined;
    if (!status) return await tryRestart(since, stopped, signal, true);
    for (const one of await lookAtTriggers(fallen, { signal, clock })) {
      if (isUp(one)) continue;
      const problem = `${one.name}, which starts ${unit}, could not be started: ${down.get(one.name) ?? one.active}`;
      const hint = `see systemctl status ${one.name}`;
      if (needed.has(one.name)) {
        throw startFailed(problem, { detail: await readUnitLog(one.name, since, { clock, signal }), hint });
      }
      status = { ...status, trouble: { problem, hint } };
    }
    return status;
  }

  /**
   * Stops the unit and starts its triggers: systemd starts no socket whose service runs. Another trigger may start the
   * unit meanwhile; then it is tried again. Writes into `down` why one is not up. Returns the unit as it was before.
   */
  async function startTriggers(
    names: readonly string[],
    down: Map<string, string>,
    signal: AbortSignal,
  ): Promise<UnitState> {
    for (let tries = 1; ; tries += 1) {
      if (!isDown((await show(signal)).active)) await end(signal);
      await tell(argvFor.resetFailed(unit), signal);
      const before = await show(signal);
      down.clear();
      for (const name of names) {
        const why = await startTrigger(name, { within: startTimeout, clock, signal });
        if (why !== undefined) down.set(name, why);
      }
      if (down.size === 0 || tries === TRIGGER_TRIES || isDown((await show(signal)).active)) return before;
    }
  }

  async function awaitStart(before: UnitState, since: number, signal: AbortSignal): Promise<ServiceStatus> {
    const stopEnd = clock.monotonic() + stopTimeout;
    const stopped = isRunning(before.active) ? beginSpan('stop') : () => {};
    let killed = false;
    let lost = 0;
    // The count of the start before may be shown until the new start begins.
    let fewest = before.restarts;
    const isCrashLoop = (now: UnitState) => isNewStart(before, now) && now.restarts - fewest >= CRASH_LOOP;
    const { state, inTime } = await poll(
      async (now) => {
        const isOld = ({ active }: UnitState) => active === 'deactivating' && !isNewStart(before, now);
        if (isOld(now) && !killed && clock.monotonic() >= stopEnd) {
          killed = true;
          await tell(argvFor.kill(unit), signal, (later) => !isOld(later));
        }
        if (isNewStart(before, now) || isDown(now.active)) stopped();
        // The restart has not begun, and no job is left: the job was lost or cancelled.
        lost = isRunning(now.active) && !now.busy && !isNewStart(before, now) ? lost + 1 : 0;
        if (lost > LOST_AFTER_POLLS) {
          lost = 0;
          await orderRestart(before, signal);
        }
        fewest = Math.min(fewest, now.restarts);
        return restartVerdict(before, now) !== 'wait' || isCrashLoop(now);
      },
      stopTimeout + startTimeout,
      signal,
    );
    if (inTime && restartVerdict(before, state) === 'started') return statusOf(unit, state);
    const how = `${state.active} (${state.sub}), result ${state.result}`;
    const detail = await readUnitLog(unit, since, { clock, signal });
    if (inTime && isCrashLoop(state)) {
      const times = `systemd has restarted it ${state.restarts - fewest} times`;
      throw startFailed(`${unit} is in a crash loop: ${times}, ${how}`, { detail, hint: state.outdated });
    }
    if (inTime) throw startFailed(`${unit} did not start: ${how}`, { detail, hint: state.outdated });
    throw startFailed(
      `${unit} is not active ${formatMs(stopTimeout + startTimeout)} after its restart: ${how}`,
      {
        detail,
        hint:
          state.outdated ??
          `\`stopTimeout\` and \`startTimeout\` of the manager in agent.yaml (${formatMs(stopTimeout)}, ${formatMs(startTimeout)}) limit the wait`,
      },
    );
  }

  /** Stops the unit; returns how it ended: `inactive` or `failed`. @throws STOP_FAILED. */
  async function end(signal: AbortSignal): Promise<string> {
    const isEnding = (now: UnitState) => isDown(now.active) || now.busy || now.active === 'deactivating';
    const refusal = await tell(argvFor.stop(unit), signal, isEnding);
    if (refusal) throw stopFailed(`systemd refused to stop ${unit}`, { detail: refusal.output });
    const first = await poll((now) => isDown(now.active), stopTimeout, signal);
    if (first.inTime) return first.state.active;
    await tell(argvFor.kill(unit), signal, (now) => isDown(now.active));
    const last = await poll((now) => isDown(now.active), AFTER_KILL_MS, signal);
    if (!last.inTime) throw stopFailed(`${unit} is still ${last.state.active} after a KILL`);
    return last.state.active;
  }

  /** @throws START_FAILED where systemd refuses. */
  async function orderRestart(before: UnitState, signal: AbortSignal): Promise<void> {
    const isBegun = (now: UnitState) => now.busy || isNewStart(before, now) || isChanging(now.active);
    const refusal = await tell(argvFor.restart(unit), signal, isBegun);
    if (refusal) throw startFailed(`systemd refused to restart ${unit}`, { detail: refusal.output });
  }

  async function triggers(signal: AbortSignal): Promise<string[]> {
    const { triggeredBy } = await show(signal);
    return (await lookAtTriggers(triggeredBy, { signal, clock })).filter(isUp).map(({ name }) => name);
  }

  return {
    async status(signal) {
      return statusOf(unit, await show(signal));
    },

    async restart(signal, stopped = { names: [] }) {
      try {
        return await tryRestart(clock.now(), stopped, signal);
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
        for (const name of await triggers(signal)) {
          await stopTrigger(name, { within: stopTimeout, clock, signal });
        }
        const { active } = await show(signal);
        const ended = isDown(active) ? active : await end(signal);
        // Nothing is left in `systemctl --failed`, not even a process that ends with an error when it is stopped.
        if (ended === 'failed') await tell(argvFor.resetFailed(unit), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isCode(error, 'STOP_FAILED')) throw error;
        throw stopFailed(`${unit} could not be stopped: ${messageOf(error)}`, { cause: error });
      }
    },

    triggers,

    async processes(signal) {
      const { mainPid, group } = await show(signal);
      const inGroup = group === '' || group === '/' ? [] : await controlGroupMembers(group);
      const found = inGroup.length > 0 || mainPid === null ? inGroup : await familyOf(mainPid);
      return found.map((one) => ({ pid: one.pid, id: idOf(one), main: one.pid === mainPid }));
    },

    logTail: (since, signal) => readUnitLog(unit, since, { clock, signal }),
  };
}

type Extra = ConstructorParameters<typeof TriggerDeployError>[2];

function startFailed(message: string, extra?: Extra): TriggerDeployError {
  return new TriggerDeployError('START_FAILED', message, extra);
}

function stopFailed(message: string, extra?: Extra): TriggerDeployError {
  return new TriggerDeployError('STOP_FAILED', message, extra);
}
