import { agentStatements } from './agent-policy.ts';
import { gcStatements } from './gc-policy.ts';
import { publisherStatements, readerStatements } from './publisher-policy.ts';
import { setupStatements } from './setup-policy.ts';
import type { PolicyPlace, Statement } from './statements.ts';

/**
 * The IAM policies of the roles of one environment. Their resources are made by the functions that make the names which
 * the programs use, so a name that changes changes in the policy as well. Pure.
 */

/** A policy of a role (IAM User Guide, "Identity-based policies"). */
export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

const STATEMENTS = {
  agent: agentStatements,
  publisher: publisherStatements,
  reader: readerStatements,
  console: (place: PolicyPlace) =>
    readerStatements({ ...place, features: { ...place.features, promotedFrom: false } }),
  setup: setupStatements,
  gc: gcStatements,
} as const satisfies Record<string, (place: PolicyPlace) => Statement[]>;

/**
 * `agent`: of the instances. `publisher`: of those who deploy. `reader`, `console`: of those who only look. `setup`: of those
 * who run `init`. `gc`: of those who run `gc`, the only one that deletes.
 */
export type Role = keyof typeof STATEMENTS;
export const ROLES = Object.keys(STATEMENTS) as Role[];

/** The policy of `role` in the environment. */
export function policyOf(role: Role, place: PolicyPlace): PolicyDocument {
  return { Version: '2012-10-17', Statement: STATEMENTS[role](place) };
}
