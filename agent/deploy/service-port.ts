import type { ServiceProcess } from './look-port.ts';

/** The service manager, as the steps need it. */

export interface ServiceStatus {
  active: boolean;
  /** True if the manager no longer tries to start the service (systemd: `failed`). */
  failed: boolean;
  /** True if the service does not run, and the manager neither starts nor stops it. */
  down?: boolean | undefined;
  mainPid: number | null;
  /** How often the manager restarted the service by itself since the last requested start. */
  restarts: number;
  /** An id that changes with every start (systemd: InvocationID); null if the manager has none. */
  invocation: string | null;
  /** For people: `active (running)`. */
  summary: string;
  /** Another problem, and its hint: a masked unit, a pid file that cannot be trusted. */
  trouble?: { problem: string; hint: string } | undefined;
}

/** What a restart must start besides the service. */
export interface StoppedTriggers {
  /** Triggers that the deployment has stopped with the service. */
  names: readonly string[];
  /** Start those too that start at a boot: after a first deployment that failed, they were left stopped. */
  enabled?: boolean;
}

export interface ServiceManager {
  status(signal: AbortSignal): Promise<ServiceStatus>;
  /**
   * Starts or restarts the service, and waits until the manager reports it active, within the configured timeouts. With
   * systemd, `reset-failed` comes first, so that a start limit never blocks a rollback. Triggers that failed are
   * started too.
   * @throws START_FAILED, with the manager's output as detail.
   */
  restart(signal: AbortSignal, stopped?: StoppedTriggers): Promise<ServiceStatus>;
  /** The triggers that are up: units that start the service (systemd: sockets, timers, paths). */
  triggers?(signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Stops the triggers of the service and then the service, and waits until it is down. Kills it after the stop
   * timeout, if possible. @throws STOP_FAILED.
   */
  stop(signal: AbortSignal): Promise<void>;
  /** The processes of the service, as far as the manager knows them. Empty if it knows none. */
  processes(signal: AbortSignal): Promise<ServiceProcess[]>;
  /**
   * The end of the service's own log since `since` (ms since the epoch), not cleaned, about 16 KiB at most. Empty if
   * there is none.
   */
  logTail(since: number, signal: AbortSignal): Promise<string>;
}
