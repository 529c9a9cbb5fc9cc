import type { ExitCode } from '../events.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Ask, Session } from '../session.ts';

/** The options and the result of driving a deployment. To drive is to announce it, to follow it and to settle it. */

export interface Driving {
  /** Whether to follow the deployment to its end; when false, it is only announced. */
  wait: boolean;
  /** Aborted by Ctrl-C: this publisher stops driving. Instances that have the announcement continue. */
  detach: AbortSignal;
  /** Asks the person at the terminal whether the gate opens. Undefined without a terminal: no page has it. */
  gate?: Ask | undefined;
  /**
   * Whether a person agrees to deploy where no instance is yet: `true` beforehand, or asked for then. It opens no gate,
   * also where an instance appears meanwhile.
   */
  confirmEmpty?: true | Ask | undefined;
}

/** A function that is called with the settled record, before the reply queue is deleted. */
export type WhenSettled = (settled: StoredDeployment) => Promise<void>;

export interface Ended {
  exitCode: ExitCode;
  /** The settled record; undefined when this publisher does not know the outcome. */
  settled?: StoredDeployment;
}

/** The exit code after Ctrl-C: this command does not know the outcome of the deployment. */
export const DETACHED: ExitCode = 3;

/** What is needed to emit events. */
export type Output = Pick<Session, 'emit' | 'clock'>;
