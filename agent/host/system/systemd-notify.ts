import { execa } from 'execa';
import { cleanTail } from '../../../shared/report.ts';

export interface SystemdNotifier {
  /** The agent is ready: what is ordered after it may start. */
  ready(): Promise<void>;
  /** One line for `systemctl status`. Of several in a hurry only the last may be seen. */
  status(text: string): void;
  /** Alive. To be called at least twice in `watchdogMs`. */
  watchdog(): void;
  stopping(): void;
  /** To be told while it starts or stops: systemd waits `ms` from now before it calls that too long. */
  extend(ms: number): void;
  /** systemd ends the agent when it hears nothing for so long, ms; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
}

const SEND_TIMEOUT_MS = 5000;

/**
 * Speaks to systemd by systemd-notify(1), where `environment` names a socket; else it does nothing. Never
 * throws: what systemd hears changes nothing for the services. Messages arrive in the order they were sent.
 */
export function createSystemdNotifier(
  environment: Readonly<Record<string, string | undefined>>,
): SystemdNotifier {
  const socket = environment.NOTIFY_SOCKET;
  const waiting = new Map<string, string>();
  let sending: Promise<void> | undefined;

  /** A newer message takes the place of one of the same name that still waits, so that none pile up. */
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

/** sd_watchdog_enabled(3): WATCHDOG_USEC holds for the process WATCHDOG_PID names, or for any without it. */
function watchdogOf(environment: Readonly<Record<string, string | undefined>>): number | undefined {
  const pid = environment.WATCHDOG_PID;
  const microseconds = Number(environment.WATCHDOG_USEC);
  if (pid !== undefined && pid !== '' && pid !== String(process.pid)) return undefined;
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}
