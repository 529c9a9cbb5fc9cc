import { lstat } from 'node:fs/promises';
import { DETAIL_LIMIT } from '../../../shared/clean-text.ts';
import type { Clock } from '../../../shared/clock.ts';
import { formatMs } from '../../../shared/duration.ts';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ServiceManager, ServiceStatus } from '../../deploy/service-port.ts';
import { readRange } from '../fs/durable-files.ts';
import { openByTrustedWay } from '../fs/trusted-file.ts';
import { type CommandRegistry, UNREGISTERED } from '../process/command-registry.ts';
import { familyOf, idOf } from '../process/proc.ts';
import type { RunCommand, RunResult } from '../process/run-command.ts';
import { isSameProcess, killProcess, readPidFile, stampOf } from './pid-file.ts';

/**
 * The config of a service that commands control, for hosts without systemd. The command `status` decides whether the
 * service is active. With a pid file, restarts of the service are visible too.
 */
export interface CommandManagerOptions {
  start: readonly string[];
  stop: readonly string[];
  /** For a restart; if it is missing, a restart runs `stop` and `start`. */
  restart?: readonly string[] | undefined;
  /** Exit code 0 means active. */
  status: readonly string[];
  pidFile?: string | undefined;
  /** The service's own log file. */
  log?: string | undefined;
  user?: string | undefined;
  environment: Readonly<Record<string, string>>;
  startTimeout: number; // ms
  stopTimeout: number; // ms
  clock: Clock;
  commands?: CommandRegistry;
}

const STATUS_TIMEOUT_MS = 10_000;
const POLL_MS = 100;
/** How long a process may take to end after KILL, ms. */
const AFTER_KILL_MS = 10_000;
/** How long a running start or stop may continue when the agent is stopped, ms. */
const FINISH_MS = 3000;
/** A started process that is dead for this long is not replaced by another one, ms. */
const DEAD_MS = 3000;
const MARKS_KEPT = 8;

export function createCommandManager(options: CommandManagerOptions): ServiceManager {
  const { clock, startTimeout, stopTimeout, pidFile, log, commands = UNREGISTERED } = options;
  const startLimit = `\`startTimeout\` of the manager in agent.yaml (${formatMs(startTimeout)}) limits the wait`;
  const restartLimit = `\`stopTimeout\` and \`startTimeout\` of the manager in agent.yaml (${formatMs(stopTimeout)}, ${formatMs(startTimeout)}) limit the wait`;
  const stopLimit = `\`stopTimeout\` of the manager in agent.yaml (${formatMs(stopTimeout)}) limits the wait; with \`pidFile\` the agent can end the process`;
  /** The size of the log at the last starts: the bytes before it do not belong to the start. */
  const marks: { at: number; inode: number; size: number }[] = [];

  const runWith =
    (run: RunCommand) =>
    (argv: readonly string[], timeout: number, signal: AbortSignal): Promise<RunResult> =>
      run(argv, { signal, timeout, env: options.environment, user: options.user });
  const runRepeatable = runWith(commands.repeatable);
  /**
   * Runs a start or stop command. The command may continue for FINISH_MS after `signal` aborts: a start that is
   * interrupted before it has written the pid file leaves a service that the agent cannot find again.
   */
  const run = async (argv: readonly string[], timeout: number, signal: AbortSignal): Promise<RunResult> => {
    signal.throwIfAborted();
    using delayed = abortAfter(signal, FINISH_MS);
    return await runWith(commands.indivisible)(argv, timeout, delayed.signal);
  };

  async function status(signal: AbortSignal): Promise<ServiceStatus> {
    const { exitCode, timedOut } = await runRepeatable(options.status, STATUS_TIMEOUT_MS, signal);
    const active = exitCode === 0 && !timedOut;
    // The pid file of a service that does not run may name another process.
    const named = active && pidFile !== undefined ? await readPidFile(pidFile) : undefined;
    const live = named?.process;
    const result = timedOut ? `no status within ${formatMs(STATUS_TIMEOUT_MS)}` : `status exit ${exitCode}`;
    return {
      active,
      failed: false,
      ...(!active && !timedOut && { down: true }),
      mainPid: live?.pid ?? null,
      restarts: 0,
      invocation: live ? idOf(live) : null,
      summary: active ? 'active' : `inactive (${result})`,
      ...(named?.refusal && { trouble: named.refusal }),
    };
  }

  async function poll(
    done: (now: ServiceStatus) => boolean | Promise<boolean>,
    within: number,
    signal: AbortSignal,
  ): Promise<{ now: ServiceStatus; inTime: boolean }> {
    const end = clock.monotonic() + within;
    for (;;) {
      const now = await status(signal);
      if (await done(now)) return { now, inTime: true };
      const left = end - clock.monotonic();
      if (left <= 0) return { now, inTime: false };
      await clock.sleep(Math.min(POLL_MS, left), signal);
    }
  }

  async function runStart(
    argv: readonly string[],
    within: number,
    signal: AbortSignal,
  ): Promise<ServiceStatus> {
    const end = clock.monotonic() + within;
    const since = clock.now();
    await markLog();
    const stamp = pidFile && (await stampOf(pidFile));
    const { exitCode, timedOut, output } = await run(argv, within, signal);
    const limit = argv === options.start ? startLimit : restartLimit;
    if (timedOut) {
      throw failed('START', `${argv[0]} was still running after ${formatMs(within)}`, output, limit);
    }
    if (exitCode !== 0) throw failed('START', `${argv[0]} ended with ${exitOf(exitCode)}`, output);
    const left = Math.max(0, end - clock.monotonic());
    const hasDied = deathOf(stamp);
    const { now, inTime } = await poll(async (state) => state.active || (await hasDied(state)), left, signal);
    if (now.active) return now;
    const detail = (await logTail(since)) || output;
    if (inTime)
      throw failed('START', `the service ended as soon as ${argv[0]} had started it: ${now.summary}`, detail);
    throw failed(
      'START',
      `the service is ${now.summary} ${formatMs(within)} after ${argv[0]}`,
      detail,
      limit,
    );
  }

  /**
   * Returns a function that tells whether the started process is dead, so that nothing is left to wait for: the pid
   * file was written since `stamp`, and names no process for DEAD_MS. A program that puts itself into the background
   * writes it again. Without a pid file, a service may take all of `startTimeout` until its status is well.
   */
  function deathOf(stamp: string | undefined): (now: ServiceStatus) => Promise<boolean> {
    let last = stamp;
    let since: number | undefined;
    return async ({ down = false }) => {
      if (pidFile === undefined) return false;
      const now = await stampOf(pidFile);
      if (now !== last) since = undefined;
      last = now;
      const isDead = down && now !== undefined && now !== stamp && !(await readPidFile(pidFile)).process;
      since = isDead ? (since ?? clock.monotonic()) : undefined;
      return since !== undefined && clock.monotonic() - since >= DEAD_MS;
    };
  }

  async function end(signal: AbortSignal): Promise<void> {
    if (!(await status(signal)).active) return;
    const named = pidFile === undefined ? undefined : await readPidFile(pidFile);
    const before = named?.refusal ? undefined : named?.process;
    const isDown = async ({ active }: ServiceStatus) => !active && !(before && (await isSameProcess(before)));
    const deadline = clock.monotonic() + stopTimeout;
    const { output } = await run(options.stop, stopTimeout, signal);
    const left = Math.max(0, deadline - clock.monotonic());
    if ((await poll(isDown, left, signal)).inTime) return;
    const late = `the service is still running ${formatMs(stopTimeout)} after the stop command ${options.stop[0]}`;
    if (named?.refusal) {
      throw failed('STOP', `${late}; not killed: ${named.refusal.problem}`, output, named.refusal.hint);
    }
    if (!named || !before) throw failed('STOP', late, output, stopLimit);
    await killProcess(named);
    const { now, inTime } = await poll(isDown, AFTER_KILL_MS, signal);
    if (!inTime) throw failed('STOP', `${late} and a KILL: ${now.summary}`, output);
  }

  async function markLog(): Promise<void> {
    if (log === undefined) return;
    const stat = await lstat(log).catch(() => undefined);
    marks.push({ at: clock.now(), inode: stat?.ino ?? 0, size: stat?.size ?? 0 });
    if (marks.length > MARKS_KEPT) marks.shift();
  }

  /**
   * Returns the log from the first start after `since` (ms since the epoch), or else from the last start; at most its
   * last DETAIL_LIMIT bytes. If this agent has not started the service yet, returns the end of the file, unless the
   * file is older than `since`.
   */
  async function logTail(since: number): Promise<string> {
    if (log === undefined) return '';
    const handle = await openByTrustedWay(log).catch(() => undefined);
    if (!handle) return '';
    try {
      const { ino, size, mtimeMs } = await handle.stat();
      const mark = marks.find(({ at }) => at >= since) ?? marks.at(-1);
      const rotated = mark !== undefined && (mark.inode !== ino || mark.size > size);
      if (!mark && mtimeMs < since) return '';
      const from = mark && !rotated ? mark.size : 0;
      const start = Math.max(from, size - DETAIL_LIMIT);
      return (await readRange(handle, start, DETAIL_LIMIT)).toString('utf8');
    } finally {
      await handle.close();
    }
  }

  return {
    status,

    async restart(signal) {
      try {
        if (options.restart) return await runStart(options.restart, stopTimeout + startTimeout, signal);
        await timeSpan('stop', () => end(signal));
        return await runStart(options.start, startTimeout, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isCode(error, 'START_FAILED')) throw error;
        const { detail, hint } = isCode(error) ? error : {};
        throw new TriggerDeployError('START_FAILED', messageOf(error), { cause: error, detail, hint });
      }
    },

    async stop(signal) {
      try {
        await end(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isCode(error, 'STOP_FAILED')) throw error;
        const { detail, hint } = isCode(error) ? error : {};
        throw new TriggerDeployError('STOP_FAILED', messageOf(error), { cause: error, detail, hint });
      }
    },

    async processes(signal) {
      signal.throwIfAborted();
      const named = pidFile === undefined ? undefined : (await readPidFile(pidFile)).process;
      if (!named) return [];
      // A `restart` of its own may reload the service: the main process may then be the one from before.
      const isReplaced = options.restart === undefined;
      return (await familyOf(named.pid)).map((one) => ({
        pid: one.pid,
        id: idOf(one),
        main: isReplaced && one.pid === named.pid,
      }));
    },

    async logTail(since, signal) {
      signal.throwIfAborted();
      return logTail(since);
    },
  };
}

/** A signal that aborts `ms` after `parent` aborts, with the parent's reason. */
function abortAfter(parent: AbortSignal, ms: number): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onParent = () => {
    timer = setTimeout(() => controller.abort(parent.reason), ms);
  };
  parent.addEventListener('abort', onParent, { once: true });
  if (parent.aborted) onParent();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent.removeEventListener('abort', onParent);
    },
  };
}

function failed(which: 'START' | 'STOP', message: string, detail: string, hint?: string): TriggerDeployError {
  return new TriggerDeployError(`${which}_FAILED`, message, { detail, hint });
}

function exitOf(exitCode: number | null): string {
  return exitCode === null ? 'a signal' : `exit code ${exitCode}`;
}
