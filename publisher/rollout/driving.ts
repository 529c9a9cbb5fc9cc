import type { ExitCode } from '../events.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Session } from '../session.ts';

/** How a publisher drives a deployment (announces it, follows it and settles it), and how that ends. */

export interface Driving {
  /** Follow the deployment to its end; when false, only announce it. */
  wait: boolean;
  /** Aborted by Ctrl-C: the deployment continues without this publisher. */
  detach: AbortSignal;
  /** Asks the person at the terminal, until `signal` aborts; true for yes. Absent without a terminal. */
  ask?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
}

/** Called with the settled record while the reply queue still exists, which is deleted afterwards. */
export type WhenSettled = (settled: StoredDeployment) => Promise<void>;

export interface Ended {
  exitCode: ExitCode;
  /** The settled record; undefined when this publisher does not know the outcome. */
  settled?: StoredDeployment;
}

/** Ctrl-C leaves a deployment whose outcome this command does not know (README: "Exit codes"). */
export const DETACHED: ExitCode = 3;

/** What is needed to emit events. */
export type Output = Pick<Session, 'emit' | 'clock'>;
