import { execa } from 'execa';
import { cleanTail } from '../../../shared/report.ts';

export interface SystemdNotifier {
  /** The agent is ready: units ordered after it may start. */
  ready(): Promise<void>;
  /** One line for `systemctl status`. Of several in quick succession only the last may be shown. */
  status(text: string): void;
  /** Heartbeat. To be called at least twice in `watchdogMs`. */
  watchdog(): void;
  stopping(): void;
  /** During a start or stop: extends systemd's timeout to `ms` from now. */
  extend(ms: number): void;
  /** systemd ends the agent without a heartbeat for this long, ms; undefined without a watchdog. */
  readonly watchdogMs: number | undefined;
}

const SEND_TIMEOUT_MS = 5000;

/**
 * Notifies systemd by systemd-notify(1) if `environment` names a socket; else it does nothing. Never throws, because
 * services do not depend on it. Messages arrive in the order in which they were sent.
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

/** sd_watchdog_enabled(3): WATCHDOG_USEC applies to the process in WATCHDOG_PID, or to any process without that. */
function watchdogOf(environment: Readonly<Record<string, string | undefined>>): number | undefined {
  const pid = environment.WATCHDOG_PID;
  const microseconds = Number(environment.WATCHDOG_USEC);
  if (pid !== undefined && pid !== '' && pid !== String(process.pid)) return undefined;
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}
