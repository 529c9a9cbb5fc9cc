import type { ExitCode } from '../events.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Session } from '../session.ts';

/** How a deployment is driven, and how the driving ends. */

export interface Driving {
  /** Follow it to its end; without, it is only announced. */
  wait: boolean;
  /** Aborted by Ctrl-C: the deployment continues without this publisher. */
  detach: AbortSignal;
  /** Asks the person at the terminal, until `signal` aborts; true for yes. Absent without a terminal. */
  ask?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
}

export interface Ended {
  exitCode: ExitCode;
  /** The settled record; undefined when this publisher does not know the outcome. */
  settled?: StoredDeployment;
}

/** Ctrl-C leaves a deployment whose outcome this command does not know (README: "Exit codes"). */
export const DETACHED: ExitCode = 3;

/** What it takes to show something: where events go, and their time. */
export type Output = Pick<Session, 'emit' | 'clock'>;
