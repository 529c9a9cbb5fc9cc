import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Convergence } from '../deploy/converged.ts';
import { HEARTBEAT_EVERY } from './ending.ts';
import type { Actions } from './ports.ts';

/**
 * The launch of an instance in its Auto Scaling group: the group waits (Pending:Wait) until all services run what they
 * should, and are healthy. An agent that was restarted goes on; one that comes too late finds that nothing waits.
 */
export interface LaunchParts {
  hook: string;
  actions: Actions;
  /** Each service, and whether it has converged. */
  services: ReadonlyMap<string, { convergence(signal: AbortSignal): Promise<Convergence> }>;
  /** When the launch counts as failed, ms since the epoch. */
  deadline: number;
  /** What then follows: the group replaces the instance, or the timeout of its hook decides. */
  onFailure: 'abandon' | 'wait';
  clock: Clock;
  log: Log;
}

/** The pause between two looks, ms. */
const LOOK_EVERY = 3000;
/** The longest pause while Auto Scaling refuses, ms: all instances of an account share its limit of calls. */
const LONGEST_PAUSE = 60_000;
/** A call that is still refused this long after the deadline is not repeated, ms. It is the default timeout of a hook. */
const REFUSED_AT_MOST = 3_600_000;

/** Resolves when the launch is over. @throws the reason of `signal` when it aborts. */
export async function awaitLaunch(parts: LaunchParts, signal: AbortSignal): Promise<void> {
  const { hook, actions, clock, log, onFailure } = parts;
  let beatAt = clock.monotonic() + HEARTBEAT_EVERY;
  let said = '';
  let pause = LOOK_EVERY;
  for (;;) {
    const { state, why } = await look(parts, signal);
    const failed = state === 'failed' || clock.now() >= parts.deadline;
    try {
      if (state === 'converged') return say(await actions.complete(hook, 'CONTINUE', signal));
      if (failed && onFailure === 'abandon') {
        log.error({ hook }, `the launch has failed and is abandoned: ${why}`);
        return say(await actions.complete(hook, 'ABANDON', signal));
      }
      if (failed && clock.now() >= parts.deadline) {
        return log.error({ hook }, `the launch has failed; the timeout of the hook decides: ${why}`);
      }
      if (!failed && clock.monotonic() >= beatAt) {
        beatAt = clock.monotonic() + HEARTBEAT_EVERY;
        if ((await actions.heartbeat(hook, signal)) === 'over') return say('over');
      }
      if (why !== said) log.info({ hook }, `the launch waits: ${why}`);
      said = why;
      pause = LOOK_EVERY;
    } catch (error) {
      signal.throwIfAborted();
      if (clock.now() >= parts.deadline + REFUSED_AT_MOST) {
        return log.error(
          { err: error, hook },
          `the launch cannot be completed, and is given up: ${messageOf(error)}`,
        );
      }
      pause = Math.min(LONGEST_PAUSE, pause * 2);
      if (messageOf(error) !== said)
        log.warn({ err: error }, `the launch cannot be completed: ${messageOf(error)}`);
      said = messageOf(error);
    }
    await clock.sleep(pause, signal);
  }

  function say(answer: 'done' | 'over'): void {
    log.info(
      { hook },
      answer === 'done' ? 'the launch is completed' : 'no lifecycle action waits for the launch',
    );
  }
}

/** The state of all services together, and the first that is not converged. */
async function look(
  { services }: LaunchParts,
  signal: AbortSignal,
): Promise<{ state: Convergence['state']; why: string }> {
  const all = await Promise.all(
    [...services].map(async ([name, service]) => {
      const found = await service
        .convergence(signal)
        .catch((error: unknown): Convergence => ({ state: 'pending', why: messageOf(error) }));
      signal.throwIfAborted();
      return { state: found.state, why: found.state === 'converged' ? '' : `${name}: ${found.why}` };
    }),
  );
  const worst = all.find(({ state }) => state === 'failed') ?? all.find(({ state }) => state === 'pending');
  return worst ?? { state: 'converged', why: '' };
}
