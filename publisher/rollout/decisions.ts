import { type Decision, type DecisionKind, decision } from '../../shared/decision.ts';
import { isCode } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import { note } from '../events.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { nonce } from '../record/objects.ts';
import { verifyStored } from '../record/signed-document.ts';
import type { Session } from '../session.ts';

/**
 * The decisions of people about a deployment that has not ended: `confirm` and `cancel`. Each is signed and is written
 * once. The publisher that drives the deployment reads them.
 */

export interface Decisions {
  confirm?: Decision | undefined;
  cancel?: Decision | undefined;
}

/** The answer of the commands `confirm` and `cancel`. */
export interface DecisionAnswer {
  type: 'decided';
  decision: 'confirm' | 'cancel';
  deployment: DeploymentRecord;
  by: string;
  at: string;
  /**
   * What became of a cancel; left out while nobody carries it out. `cancelled`: nothing of the deployment goes on.
   * `too-late`: some instances complete it. `unknown`: some have not answered.
   */
  result?: 'cancelled' | 'too-late' | 'unknown';
  /** What happens now, for a person. */
  text: string;
}

/**
 * Reads the decisions about a deployment. A decision that cannot be verified is ignored, with a warning.
 * @throws AWS_*, CONFIG_INVALID, KEY_INVALID.
 */
export async function readDecisions(session: Session, service: string, id: string): Promise<Decisions> {
  const [confirm, cancel] = await Promise.all([
    readDecision(session, service, id, 'confirm'),
    readDecision(session, service, id, 'cancel'),
  ]);
  return { confirm, cancel };
}

/** Who decided and why: `ann@desk: the shop is slow`. */
export const deciderText = ({ by, reason }: Pick<Decision, 'by' | 'reason'>) =>
  reason ? `${by}: ${reason}` : by;

/** Who cancelled the deployment and why, whatever its strategy; undefined if nobody did. @throws AWS_*. */
export async function cancelOf(
  session: Session,
  { service, deployment }: Pick<DeploymentRecord, 'service' | 'deployment'>,
): Promise<string | undefined> {
  const found = await readDecision(session, service, deployment, 'cancel');
  return found && deciderText(found);
}

/**
 * Who cancelled a rolling deployment and why; undefined if nobody did. Always undefined for a deployment to all
 * instances at once, whose outcome depends on the reports only.
 */
export async function cancelledBy(session: Session, record: DeploymentRecord): Promise<string | undefined> {
  if (record.rolling === undefined) return undefined;
  return await cancelOf(session, record);
}

/**
 * Writes the decision, unless a decision of this kind is stored already.
 * @returns the stored decision; the new one if the stored one cannot be verified.
 * @throws AWS_*, CONFIG_INVALID, KEY_INVALID.
 */
export async function decide(
  session: Session,
  service: string,
  id: string,
  kind: DecisionKind,
  reason?: string,
): Promise<Decision> {
  const signer = await session.signer();
  const value = decision.parse({
    ...{ v: 1, env: session.env.name, service, deployment: id, kind, by: session.who, reason },
    at: new Date(session.clock.now()).toISOString(),
    nonce: nonce(),
  });
  const text = await signer.sign('td-decision+jws', value);
  try {
    await session.record.objects.putNew(keys.decision(session.env.name, service, id, kind), text);
    return value;
  } catch (error) {
    if (!isCode(error, 'CONDITION_FAILED')) throw error;
    return (await readDecision(session, service, id, kind)) ?? value;
  }
}

async function readDecision(
  session: Session,
  service: string,
  id: string,
  kind: DecisionKind,
): Promise<Decision | undefined> {
  const key = keys.decision(session.env.name, service, id, kind);
  const stored = await session.record.objects.read(key);
  if (stored === undefined) return undefined;
  try {
    const verifier = await session.verifier();
    const found = await verifyStored(verifier, 'td-decision+jws', key, stored.text, decision);
    const about = [found.env, found.service, found.deployment, found.kind].join(' ');
    if (about === [session.env.name, service, id, kind].join(' ')) return found;
    warn(session, `${key} holds the decision ${about}; ignored`);
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    warn(session, `${error.message}; ignored`);
  }
  return undefined;
}

function warn(session: Session, text: string): void {
  note(session, text, 'warning');
}
