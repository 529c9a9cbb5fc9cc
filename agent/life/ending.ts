import type { Clock } from '../../shared/clock.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { retry } from '../../shared/retry.ts';
import type { ServiceEnd } from '../deploy/service-end.ts';
import type { LifeState } from './life-state.ts';
import type { Notice } from './notice.ts';
import type { Actions } from './ports.ts';
import { type EndStep, shareOf } from './shares.ts';
import { timed } from './timed.ts';

/**
 * What the agent does when the end of its instance was announced: deployments end, traffic is drained, `onTerminate` hooks
 * run, the last logs and reports are delivered; then, if the instance does not come back, it leaves its environment; and
 * its Auto Scaling group, which may wait for it, goes on. Each step has its share of the time, and one that fails does not
 * keep the next. What is done is on disk: an agent that was killed calls this again.
 */
export interface EndingParts {
  services: ReadonlyMap<string, ServiceEnd>;
  notice: Notice;
  /** What of the end is done already. */
  done: Pick<LifeState, 'left' | 'completed'>;
  save(patch: Partial<LifeState>): Promise<void>;
  /** Removes the queue and its subscription, and marks the records as left. */
  leave(signal: AbortSignal): Promise<void>;
  /** The hook of the group that waits for the end; undefined without one. */
  hook: { name: string; actions: Actions } | undefined;
  clock: Clock;
  log: Log;
}

/** Auto Scaling's shortest timeout of a hook is 30 s, ms. */
export const HEARTBEAT_EVERY = 20_000;
const BACKOFF = { first: 1000, longest: 20_000 };

/** Resolves when all of it is done. @throws the reason of `signal` when it aborts. */
export async function endInstance(parts: EndingParts, signal: AbortSignal): Promise<void> {
  const { services, notice, done, save, leave, clock, log } = parts;
  const over = new AbortController();
  const beating = beat(parts, AbortSignal.any([signal, over.signal]));
  const share = (step: EndStep) => shareOf(step, clock.now(), notice.deadline);

  async function step(
    name: EndStep,
    what: string,
    work: (signal: AbortSignal, remainingMs: () => number) => Promise<void>,
  ): Promise<'ended' | 'failed'> {
    const ms = share(name);
    const end = clock.monotonic() + ms;
    try {
      await timed(clock, ms, what, signal, (limited) => work(limited, () => end - clock.monotonic()));
      return 'ended';
    } catch (error) {
      signal.throwIfAborted();
      const isLate = isCode(error, 'TIMEOUT');
      log[isLate ? 'warn' : 'error'](
        { err: error },
        `${messageOf(error)}; the end of the instance continues`,
      );
      return 'failed';
    }
  }

  async function endService(name: string, end: ServiceEnd): Promise<void> {
    if ((await step('settle', `the deployment of ${name}`, (limited) => end.settled(limited))) === 'failed') {
      end.rollBack();
      await step('rollBack', `the rollback of ${name}`, (limited) => end.settled(limited));
    }
    await step('drain', `the drain of ${name}`, (limited, remaining) => end.drain(limited, remaining));
    await step('hooks', `the hooks of ${name}`, (limited, remaining) => end.runHooks(limited, remaining));
    await step('logs', `the logs of ${name}`, (limited, remaining) =>
      end.shipLogs(limited, clock.monotonic() + remaining()),
    );
    await step('deliver', `the reports of ${name}`, (limited) => end.delivered(limited));
  }

  try {
    await Promise.all([...services].map(([name, end]) => endService(name, end)));
    const hasToLeave = notice.final && !done.left;
    const left = hasToLeave && (await step('leave', 'leaving the environment', leave));
    if (left === 'ended') await save({ left: true });
    if (!done.completed) await complete(parts, signal);
    if (left === 'failed') await leaveLater(parts, signal);
    log.info({ notice: notice.kind }, 'everything for the end of the instance is done');
  } finally {
    over.abort();
    await beating;
  }
}

/** The machine may live longer than was announced: leaving is tried again, until it succeeds. */
async function leaveLater({ leave, save, clock, log }: EndingParts, signal: AbortSignal): Promise<void> {
  await retry(() => leave(signal), {
    ...BACKOFF,
    ...{ clock, signal, retryable: () => true },
    onRetry: (error) => log.debug({ err: error }, 'cannot leave the environment; retrying'),
  });
  await save({ left: true });
}

/** Tells the group that the instance may go. Repeated until it is told: the group would wait for its timeout. */
async function complete({ hook, notice, save, clock, log }: EndingParts, signal: AbortSignal): Promise<void> {
  if (!notice.hook || !hook) return;
  const answer = await retry(() => hook.actions.complete(hook.name, 'CONTINUE', signal), {
    ...BACKOFF,
    ...{ clock, signal, retryable: () => true },
    onRetry: (error, { failures }) =>
      log[failures === 1 ? 'warn' : 'debug'](
        { err: error },
        'cannot complete the lifecycle action; retrying',
      ),
  });
  log.info(
    { hook: hook.name },
    answer === 'done' ? 'lifecycle action completed' : 'no lifecycle action waits',
  );
  await save({ completed: true });
}

/** Keeps the group waiting while there is work. Ends when `signal` aborts; never throws. */
async function beat({ hook, notice, clock, log }: EndingParts, signal: AbortSignal): Promise<void> {
  if (!notice.hook || !hook) return;
  try {
    for (;;) {
      await clock.sleep(HEARTBEAT_EVERY, signal);
      const answer = await hook.actions.heartbeat(hook.name, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        log.warn({ err: error }, `no heartbeat: ${messageOf(error)}`);
      });
      if (answer === 'over') return log.warn({ hook: hook.name }, 'no lifecycle action waits for the end');
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
