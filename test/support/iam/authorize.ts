import { policyOf, ROLES, type Role } from '../../../publisher/setup/policies.ts';
import type { PolicyPlace } from '../../../publisher/setup/statements.ts';
import { senderId } from '../cloud/sqs.ts';
import type { AnyPolicy, Context } from './document.ts';
import { evaluate } from './evaluate.ts';
import { noteDenial } from './ledger.ts';

/**
 * Holds every caller of a stand-in for AWS to the policy that trigger-deploy prints for its role. The access key names
 * the role: `session-NAME` is an instance, `publisher`, `reader`, `console` are those roles (`publisher-2` as well), and
 * `operator` may do anything: it is the hand of the test, or of an attacker with such rights.
 */

export interface Call {
  readonly accessKeyId: string;
  readonly action: string;
  /** An ARN, or `*` for an action that has no resource. */
  readonly resource: string;
  readonly context?: Context;
  /** That of the queue, topic or bucket. */
  readonly resourcePolicy?: AnyPolicy | undefined;
}

/** Why a call is refused, as AWS words it; undefined when it is allowed. */
export function refusalOf(call: Call, places: readonly PolicyPlace[]): string | undefined {
  const { accessKeyId, action, resource } = call;
  const role = roleOf(accessKeyId);
  if (role === 'operator') return undefined;
  const userid = senderId(accessKeyId);
  const principal = { AWS: principalsOf(role, userid) };
  const identity = places.map((place) => policyIn(place, role));
  const decision = evaluate(
    { action, resource, principal, context: { 'aws:userid': userid, ...call.context } },
    { identity, resource: call.resourcePolicy },
  );
  if (decision.isAllowed) return undefined;
  noteDenial({ role, action, resource });
  const why =
    decision.why === 'an explicit deny'
      ? 'with an explicit deny'
      : `because no identity-based policy allows the ${action} action`;
  return `User: ${principal.AWS.at(-1)} is not authorized to perform: ${action} on resource: ${resource} ${why}`;
}

/** Made once for each place: thousands of calls are held to the same policy. */
const made = new WeakMap<PolicyPlace, Map<Role, AnyPolicy>>();

function policyIn(place: PolicyPlace, role: Role): AnyPolicy {
  const known = made.get(place) ?? new Map<Role, AnyPolicy>();
  made.set(place, known);
  const policy = known.get(role) ?? policyOf(role, place);
  known.set(role, policy);
  return policy;
}

function roleOf(accessKeyId: string): Role | 'operator' {
  if (/^(AROA[A-Z0-9]+-)?session-/.test(accessKeyId)) return 'agent';
  const [name = ''] = accessKeyId.split(/[-~]/);
  const role = [...ROLES, 'operator' as const].find((one) => one === name);
  if (role === undefined)
    throw new Error(`the access key ${accessKeyId} names no role: see test/support/iam/authorize.ts`);
  return role;
}

/** IAM User Guide, "IAM identifiers": the ARNs of the role and of its session. */
function principalsOf(role: Role, userid: string): string[] {
  const [, session = role] = userid.split(':');
  return [
    `arn:aws:iam::000000000000:role/trigger-deploy-${role}`,
    `arn:aws:sts::000000000000:assumed-role/trigger-deploy-${role}/${session}`,
  ];
}
