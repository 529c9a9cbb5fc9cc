import { execa } from 'execa';
import { cleanTail } from '../../../shared/clean-text.ts';

/** The messages of the agent to systemd: sd_notify(3). */
export interface SystemdNotifier {
  /** The agent is ready: units ordered after it may start. */
  ready(): Promise<void>;
  /** One line for `systemctl status`. If several follow each other quickly, some are skipped, but never the last. */
  status(text: string): void;
  /** A heartbeat. The agent must call this at least twice in `watchdogMs`. */
  watchdog(): void;
  stopping(): void;
  /** During a start or stop: extends systemd's timeout to `ms` from now. */
  extend(ms: number): void;
  /** After this time without a heartbeat, ms, systemd ends the agent. Undefined if the unit has no watchdog. */
  readonly watchdogMs: number | undefined;
}

const SEND_TIMEOUT_MS = 5000;

/**
 * Notifies systemd with systemd-notify(1) if `environment` names a socket, else does nothing. It never throws: a
 * message that is lost must not fail a deployment. Messages are sent one after the other.
 */
export function createSystemdNotifier(
  environment: Readonly<Record<string, string | undefined>>,
): SystemdNotifier {
  const socket = environment.NOTIFY_SOCKET;
  const waiting = new Map<string, string>();
  let sending: Promise<void> | undefined;

  /** A newer message replaces a waiting one of the same name, so that the queue stays short. */
  function send(name: string, value: string): Promise<void> {
    if (!socket) return Promise.resolve();
    waiting.delete(name);
    waiting.set(name, value);
    sending ??= drain(socket).finally(() => {
      sending = undefined;
    });
    return sending;
  }

  async function drain(to: string): Promise<void> {
    for (let next = waiting.entries().next(); !next.done; next = waiting.entries().next()) {
      const [name, value] = next.value;
      waiting.delete(name);
      await execa('systemd-notify', [`${name}=${value}`], {
        env: { NOTIFY_SOCKET: to, PATH: environment.PATH ?? '/usr/bin:/bin' },
        extendEnv: false,
        reject: false,
        stdio: 'ignore',
        timeout: SEND_TIMEOUT_MS,
      }).catch(() => {});
    }
  }

  return {
    ready: () => send('READY', '1'),
    status: (text) => void send('STATUS', cleanTail(text).replace(/\s+/g, ' ').slice(0, 500)),
    watchdog: () => void send('WATCHDOG', '1'),
    stopping: () => void send('STOPPING', '1'),
    extend: (ms) => void send('EXTEND_TIMEOUT_USEC', String(Math.round(ms * 1000))),
    watchdogMs: socket ? watchdogOf(environment) : undefined,
  };
}

/** sd_watchdog_enabled(3): WATCHDOG_USEC is for the process in WATCHDOG_PID; if that is not set, for every process. */
function watchdogOf(environment: Readonly<Record<string, string | undefined>>): number | undefined {
  const pid = environment.WATCHDOG_PID;
  const microseconds = Number(environment.WATCHDOG_USEC);
  if (pid !== undefined && pid !== '' && pid !== String(process.pid)) return undefined;
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}
