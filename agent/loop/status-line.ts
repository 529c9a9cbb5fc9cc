import { messageOf } from '../../shared/errors.ts';
import type { Reply } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { Inbox, Notifier } from './ports.ts';

/** Keeps the status line of the agent in `systemctl status` up to date, from what passes through inbox and reporter. */
export interface StatusLine {
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
  /** Shows what was announced about the life of the instance; undefined takes it away. */
  notice(text: string | undefined): void;
}

/** The shortest time between two lines, ms. Each line starts a process, and a download may report twice a second. */
const AT_MOST_EVERY = 1000;
const WAITING = 'waiting for announcements';

export function createStatusLine(notifier: Pick<Notifier, 'status'>): StatusLine {
  const deploying = new Map<string, string>();
  let queue = 'setting up the queue of this instance';
  let notice: string | undefined;
  let shown = '';
  let timer: NodeJS.Timeout | undefined;

  function show(): void {
    if (timer) return;
    const isQueueShown = deploying.size === 0 || queue !== WAITING;
    const shownNotice = notice === undefined ? [] : [notice];
    const line = [...shownNotice, ...deploying.values(), ...(isQueueShown ? [queue] : [])].join('; ');
    if (line === shown) return;
    shown = line;
    notifier.status(line);
    timer = setTimeout(() => {
      timer = undefined;
      show();
    }, AT_MOST_EVERY).unref();
  }

  async function watchQueue<T>(work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      queue = WAITING;
      return result;
    } catch (error) {
      queue = messageOf(error);
      throw error;
    } finally {
      show();
    }
  }

  function showReport(reply: Reply): void {
    if (reply.kind !== 'report') return;
    const { service, version, state, note } = reply;
    if (isEnding(state)) deploying.delete(service);
    else deploying.set(service, `deploying ${service} ${version}: ${state}${note ? ` ${note}` : ''}`);
    show();
  }

  return {
    notice(text) {
      notice = text;
      show();
    },

    inbox: (inner) => ({
      ...inner,
      ensure: (signal) => watchQueue(inner.ensure(signal)),
      receive: (signal) => watchQueue(inner.receive(signal)),
    }),

    reporter: (inner) => ({
      ...inner,
      progress(reply, replyTo) {
        showReport(reply);
        inner.progress(reply, replyTo);
      },
      async deliver(report, replyTo, signal) {
        // Not for `accepted`: it may be delivered late, when the deployment is already in a later state.
        if (isEnding(report.state)) showReport(report);
        await inner.deliver(report, replyTo, signal);
      },
      async putInstance(record, signal) {
        // The record is written after each ending, even if the ending has no report.
        if (record.state === undefined || isEnding(record.state)) deploying.delete(record.service);
        show();
        await inner.putInstance(record, signal);
      },
    }),
  };
}
