import { sleepUnlessAborted } from '../../../shared/abort.ts';
import { type Clock, createClock } from '../../../shared/clock.ts';
import { type RunCommand, type RunResult, runCommand } from './run-command.ts';

/**
 * Calls of systemd's manager: systemctl(1), systemd-run(1). One call that fails says nothing about a unit. While systemd
 * executes itself anew (`systemctl daemon-reexec`, which upgrades of libc6 and of systemd run), it cuts every
 * connection: a query has no answer, and nobody knows whether a job was queued. A query is therefore repeated, and
 * before an order is repeated, the caller looks at what is there.
 */

/** How long a call is repeated whose connection was cut, or which got no answer, ms. */
export const UNANSWERED_FOR_MS = 30_000;
/** How long a call is repeated that failed for a reason that is not known, ms. */
const OTHERWISE_FOR_MS = 2000;
/** Timeout of one call, ms; normally they answer in milliseconds. */
const CALL_TIMEOUT_MS = 15_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

/** The connection failed before the answer: by errno, by D-Bus, or because D-Bus itself could not reach systemd. */
const NO_ANSWER =
  /failed to connect to (?:\S+ )*bus|disconnected|connection (?:reset|refused|timed out|terminated|closed)|transport endpoint|broken pipe|end of file|no reply|did not receive a reply|org\.freedesktop\.systemd1|timed out|shutting down|resource temporarily unavailable/i;
/** No later call can succeed: there is no systemd, or no such unit, or systemd refuses this order for this unit. */
const FINAL =
  /not been booted with systemd|not loaded|not found|does not exist|not valid|invalid|is masked|operation refused|job type|unknown (?:command|operation|option)/i;

export interface CallOptions {
  signal: AbortSignal;
  clock?: Pick<Clock, 'monotonic' | 'sleep'>;
  /** Timeout of one call, ms. */
  timeout?: number;
  run?: RunCommand;
}

/** Whether the call got no answer of the manager. It may have had its effect all the same. */
export function isUnanswered({ exitCode, timedOut, output }: RunResult): boolean {
  if (exitCode === 0) return false;
  return timedOut || exitCode === null || (NO_ANSWER.test(output) && !FINAL.test(output));
}

/**
 * Runs a query until it exits with 0, for UNANSWERED_FOR_MS at most. Returns the last result, which may be a failure.
 * `accept` takes a result with another exit code as the answer.
 * @throws COMMAND_FAILED when the program cannot be run.
 */
export async function askSystemd(
  argv: readonly string[],
  options: CallOptions & { accept?: (result: RunResult) => boolean },
): Promise<RunResult> {
  return await repeat(argv, options, async (result) => options.accept?.(result) ?? false);
}

/**
 * Runs an order until it exits with 0, or until `isDone` finds that a call that failed had its effect. An order that
 * changes nothing when it is repeated needs no `isDone`. Returns undefined if the order has its effect; else the result
 * of the last call, which was refused or got no answer for UNANSWERED_FOR_MS.
 * @throws COMMAND_FAILED when the program cannot be run; what `isDone` throws.
 */
export async function tellSystemd(
  argv: readonly string[],
  options: CallOptions & { isDone?: () => Promise<boolean> },
): Promise<RunResult | undefined> {
  let done = false;
  const result = await repeat(argv, options, async (failed) => {
    // Nothing is known of an order that was refused, except that it had no effect.
    done = !FINAL.test(failed.output) && ((await options.isDone?.()) ?? false);
    return done;
  });
  return done || result.exitCode === 0 ? undefined : result;
}

async function repeat(
  argv: readonly string[],
  { signal, clock = createClock(Date.now), timeout = CALL_TIMEOUT_MS, run = runCommand }: CallOptions,
  isEnough: (result: RunResult) => Promise<boolean>,
): Promise<RunResult> {
  const began = clock.monotonic();
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 1.5 * pause)) {
    const result = await run(argv, { signal, timeout, env: { LC_ALL: 'C' } });
    if (result.exitCode === 0 || (await isEnough(result))) return result;
    const left = began + patienceFor(result) - clock.monotonic();
    if (left <= 0) return result;
    await sleepUnlessAborted(Math.min(pause, left), signal, clock);
  }
}

function patienceFor(result: RunResult): number {
  if (isUnanswered(result)) return UNANSWERED_FOR_MS;
  return FINAL.test(result.output) ? 0 : OTHERWISE_FOR_MS;
}
