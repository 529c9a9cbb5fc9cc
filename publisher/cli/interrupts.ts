import { TriggerDeployError } from '../../shared/errors.ts';

/** The exit code that a shell reports for a program that SIGINT ended. */
const KILLED_BY_INTERRUPT = 130;

export interface Interrupts {
  /** The first signal aborts it if the verb follows a deployment. The deployment continues without this program. */
  detach: AbortSignal;
  /** The first signal aborts it if the verb does not follow a deployment. */
  stop: AbortSignal;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Listens for SIGINT, SIGTERM and SIGHUP, which comes when a terminal or an ssh session closes. The same signal again
 * ends the program at once: a person is impatient. SIGHUP does not, because the shell and the kernel may both send it.
 */
export function listenForInterrupts(
  verb: string,
  { follows, publishes }: { follows: boolean; publishes: boolean },
): Interrupts {
  const detach = new AbortController();
  const stop = new AbortController();
  const seen = new Set<NodeJS.Signals>();
  const onSignal = (signal: NodeJS.Signals) => {
    if (seen.has(signal) && signal !== 'SIGHUP') process.exit(KILLED_BY_INTERRUPT);
    const isFirst = seen.size === 0;
    seen.add(signal);
    if (!isFirst) return;
    const published = publishes ? ': no version was pushed' : '';
    const hint = publishes ? `run the same ${verb} again: it uploads only the missing files` : undefined;
    const reason = new TriggerDeployError('INTERRUPTED', `interrupted${published}`, { hint });
    (follows ? detach : stop).abort(reason);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return { detach: detach.signal, stop: stop.signal };
}
