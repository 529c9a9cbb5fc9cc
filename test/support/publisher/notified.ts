import { pause, unpause } from '../../../publisher/commands/pause.ts';
import type { Notify } from '../../../publisher/config/load.ts';
import { type Notifier, openNotifier } from '../../../publisher/notify/notifier.ts';
import type { Session } from '../../../publisher/session.ts';
import type { Stage } from './stage.ts';

/** Commands whose events go to a notifier. */

export interface Notified {
  /** A session whose events go to a notifier, as `main.ts` wires it. */
  withNotifier(notify: Notify, variables?: Variables): Promise<{ session: Session; notifier: Notifier }>;
  /** Runs a command, and its notifier to the end; returns what was not sent. */
  notified(
    notify: Notify,
    work: (session: Session) => Promise<unknown>,
    variables?: Variables,
  ): Promise<{ unsent: string | undefined }>;
}
type Variables = Record<string, string>;

export function notifiedOn(stage: Stage): Notified {
  const withNotifier: Notified['withNotifier'] = async (notify, variables = {}) => {
    const opened = await stage.open();
    const base: Session = { ...opened, env: { ...opened.env, notify } };
    const notifier = openNotifier(base, variables);
    const emit: Session['emit'] = (event) => {
      opened.emit(event);
      notifier.onEvent(event);
    };
    return { session: { ...base, emit }, notifier };
  };
  return {
    withNotifier,
    async notified(notify, work, variables) {
      const { session, notifier } = await withNotifier(notify, variables);
      const thrown = await work(session).then(
        () => undefined,
        (error: unknown) => error,
      );
      return { unsent: await notifier.close(thrown) };
    },
  };
}

/** The two smallest commands that send a notice. */
export const paused = (session: Session) => pause(session, { service: 'payments', reason: 'audit' });
export const unpaused = (session: Session) => unpause(session, { service: 'payments' });
