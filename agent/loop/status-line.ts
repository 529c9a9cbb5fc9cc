import { messageOf } from '../../shared/errors.ts';
import { isEnding, type Reply } from '../../shared/report.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { Inbox, Notifier } from './agent.ts';

/** What the agent is doing, as the one line that `systemctl status` shows. */
export interface Doing {
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
}

/** Each line costs a process, and a download tells its progress several times a second. ms */
const AT_MOST_EVERY = 1000;

export function createDoing(notifier: Pick<Notifier, 'status'>): Doing {
  const deploying = new Map<string, string>();
  let queue = 'setting up its queue';
  let told = '';
  let resting: NodeJS.Timeout | undefined;

  function tell(): void {
    if (resting) return;
    const line = [...deploying.values(), ...(deploying.size === 0 || isAway() ? [queue] : [])].join('; ');
    if (line === told) return;
    told = line;
    notifier.status(line);
    resting = setTimeout(() => {
      resting = undefined;
      tell();
    }, AT_MOST_EVERY).unref();
  }

  const isAway = () => queue !== WAITING;

  async function asked<T>(work: Promise<T>, well: string): Promise<T> {
    try {
      const result = await work;
      queue = well;
      return result;
    } catch (error) {
      queue = messageOf(error);
      throw error;
    } finally {
      tell();
    }
  }

  function hear(said: Reply): void {
    if (said.kind !== 'report') return;
    const { service, version, state, note } = said;
    if (isEnding(state)) deploying.delete(service);
    else deploying.set(service, `deploying ${service} ${version}: ${state}${note ? ` ${note}` : ''}`);
    tell();
  }

  return {
    inbox: (inner) => ({
      ...inner,
      ensure: (signal) => asked(inner.ensure(signal), WAITING),
      receive: (signal) => asked(inner.receive(signal), WAITING),
    }),

    reporter: (inner) => ({
      ...inner,
      progress(reply, replyTo) {
        hear(reply);
        inner.progress(reply, replyTo);
      },
      async deliver(report, replyTo, signal) {
        // An `accepted` that could not be told may be delivered long after it was true.
        if (isEnding(report.state)) hear(report);
        await inner.deliver(report, replyTo, signal);
      },
      async putInstance(record, signal) {
        // Put at each end, told or not.
        if (record.state === undefined || isEnding(record.state)) deploying.delete(record.service);
        tell();
        await inner.putInstance(record, signal);
      },
    }),
  };
}

const WAITING = 'waiting for announcements';
