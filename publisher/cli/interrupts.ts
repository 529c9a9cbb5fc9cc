import { TriggerDeployError } from '../../shared/errors.ts';

/** The exit code that a shell reports for a program that SIGINT ended. */
const KILLED_BY_INTERRUPT = 130;

export interface Interrupts {
  /** The first signal aborts it if the verb follows a deployment. The deployment continues without this program. */
  detach: AbortSignal;
  /** The first signal aborts it if the verb does not follow a deployment. */
  stop: AbortSignal;
}

/** Listens for SIGINT and SIGTERM. The second signal ends the program at once. */
export function listenForInterrupts(
  verb: string,
  { follows, publishes }: { follows: boolean; publishes: boolean },
): Interrupts {
  const detach = new AbortController();
  const stop = new AbortController();
  let interrupted = false;
  const onSignal = () => {
    if (interrupted) process.exit(KILLED_BY_INTERRUPT);
    interrupted = true;
    const published = publishes ? ': no version was pushed' : '';
    const hint = publishes ? `run the same ${verb} again: it uploads only the missing files` : undefined;
    const reason = new TriggerDeployError('INTERRUPTED', `interrupted${published}`, { hint });
    (follows ? detach : stop).abort(reason);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  return { detach: detach.signal, stop: stop.signal };
}
