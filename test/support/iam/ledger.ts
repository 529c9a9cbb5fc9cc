import type { Role } from '../../../publisher/setup/policies.ts';

/**
 * What the roles were denied in the test file that runs. The setup of the tests
 * (ledger-setup.ts) reads it at the end of each file. A worker runs one file at a time.
 */

export interface Denial {
  readonly role: Role;
  readonly action: string;
  readonly resource: string;
}

interface Ledger {
  denials: Denial[];
}

// The setup and the tests may load this module each for itself.
const OF_WORKER = globalThis as typeof globalThis & { triggerDeployLedger?: Ledger };
const ledger = () => {
  OF_WORKER.triggerDeployLedger ??= { denials: [] };
  return OF_WORKER.triggerDeployLedger;
};

/** The names that `doctor` and `check` ask for, to see that it is denied: the answer is a finding of theirs. */
const PROBE = /\btrigger-deploy-(doctor|check)\b/;

export function noteDenial(denial: Denial): void {
  if (!PROBE.test(denial.resource)) ledger().denials.push(denial);
}

/**
 * The denials since the last call, in order, as `ACTION RESOURCE`. A test that provokes denials takes them; those that
 * nobody takes fail their file.
 */
export function takeDenials(role?: Role): string[] {
  const { denials } = ledger();
  const isTaken = (denial: Denial) => role === undefined || denial.role === role;
  ledger().denials = denials.filter((denial) => !isTaken(denial));
  return denials.filter(isTaken).map(({ action, resource }) => `${action} ${resource}`);
}
