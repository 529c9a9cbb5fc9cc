import type { Role } from '../../../publisher/setup/policies.ts';

/**
 * What the roles used of their policies, and what they were denied, in the test file that runs. The setup of the tests
 * (ledger-setup.ts) reads it at the end of each file. A worker runs one file at a time.
 */

export interface Denial {
  readonly role: Role;
  readonly action: string;
  readonly resource: string;
}

interface Ledger {
  /** `ROLE SID ACTION` */
  used: Set<string>;
  denials: Denial[];
}

// The setup and the tests may load this module each for itself.
const OF_WORKER = globalThis as typeof globalThis & { triggerDeployLedger?: Ledger };
const ledger = () => {
  OF_WORKER.triggerDeployLedger ??= { used: new Set(), denials: [] };
  return OF_WORKER.triggerDeployLedger;
};

export const useOf = (role: Role, sid: string, action: string) => `${role} ${sid} ${action}`;
export const noteUse = (role: Role, sid: string, action: string) =>
  void ledger().used.add(useOf(role, sid, action));
export const noteDenial = (denial: Denial) => void ledger().denials.push(denial);

/** The uses so far, and a fresh ledger. */
export function takeUses(): ReadonlySet<string> {
  const { used } = ledger();
  ledger().used = new Set();
  return used;
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
