import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { ANSWERS_WITHIN, within } from './abandon.ts';
import type { Ports } from './ports.ts';

/**
 * The last limit of a call that must end by itself: an adapter has shorter limits of its own, but a child process that
 * the kernel cannot kill, or a file system that does not answer, is beyond them. Without a limit here, such a call would
 * hold up the service's deployments until the agent is restarted.
 */

/** ms */
const QUESTION_WITHIN = 3 * 60_000;
const MACHINE_WITHIN = 30_000;
const RECORD_WITHIN = 30_000;

export function withLimits(ports: Ports): Ports {
  const { clock, probe, hooks, manager, host, reporter, package: pkg } = ports;
  const ask = <T>(what: string, work: () => Promise<T>, ms = QUESTION_WITHIN) =>
    within(clock, ms, work, () => unanswered(what, ms));
  return {
    ...ports,
    probe: over(probe, {
      probe: (check, expected, signal) =>
        answerOf(clock, check.timeout + ANSWERS_WITHIN, () => probe.probe(check, expected, signal), {
          ok: false,
          note: `${check.kind} no answer within ${formatMs(check.timeout)}`,
        }),
    }),
    hooks: over(hooks, {
      run: (hook, environment, signal) =>
        within(
          clock,
          hook.timeout + ANSWERS_WITHIN,
          () => hooks.run(hook, environment, signal),
          () =>
            new TriggerDeployError(
              'HOOK_FAILED',
              `hook ${hook.run[0]} was still running after ${formatMs(hook.timeout)} and could not be ended`,
            ),
        ),
    }),
    manager: over(manager, {
      status: (signal) => ask('the state of the service', () => manager.status(signal)),
      logTail: (since, signal) => ask('the log of the service', () => manager.logTail(since, signal)),
    }),
    host: over(host, {
      stopping: (signal) => answerOf(clock, MACHINE_WITHIN, () => host.stopping(signal), false),
    }),
    package: over(pkg, {
      current: () => ask('the current version', () => pkg.current()),
      isWhole: () => ask('the state of the package', () => pkg.isWhole()),
      releases: () => ask('the releases', () => pkg.releases()),
      // A later deployment may need what a pruning that was left would remove.
      prune: async (keep) => {
        const left = new AbortController();
        try {
          return await ask('the old releases', () => pkg.prune(keep, left.signal), RECORD_WITHIN);
        } finally {
          left.abort();
        }
      },
    }),
    reporter: over(reporter, {
      putInstance: (record, signal) => ask('S3', () => reporter.putInstance(record, signal), RECORD_WITHIN),
    }),
  };
}

/** `port` with some of its methods replaced. */
function over<T extends object>(port: T, methods: Partial<T>): T {
  return Object.assign(Object.create(port) as T, methods);
}

/** The answer of `work`, or `otherwise` where there is none within `ms`. @throws what `work` throws. */
async function answerOf<T>(clock: Clock, ms: number, work: () => Promise<T>, otherwise: T): Promise<T> {
  const late = new Error('late');
  try {
    return await within(clock, ms, work, () => late);
  } catch (error) {
    if (error === late) return otherwise;
    throw error;
  }
}

function unanswered(what: string, ms: number): TriggerDeployError {
  return new TriggerDeployError('TIMEOUT', `${what}: no answer within ${formatMs(ms)}`, {
    hint: 'a process or the file system hangs: see dmesg, and processes in state D with ps',
  });
}
