import { type Decision, type DecisionKind, decision } from '../../shared/decision.ts';
import { isCode } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import { note } from '../events.ts';
import { compareAndSwap } from '../record/compare-and-swap.ts';
import { digestOf } from '../record/deployment-document.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { nonce } from '../record/objects.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import { verifyStored } from '../record/signed-document.ts';
import { actorOf, type Session } from '../session.ts';
import { refuseToConfirm, whyNotConfirming } from './confirmation.ts';

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

/** How often a write is tried. Few people decide at the same moment. */
const ATTEMPTS = 5;

/** The deployment that a decision is about. */
type Decided = Pick<StoredDeployment, 'value' | 'document'>;

/**
 * Reads the decisions about a deployment. A decision that cannot be verified, that was made about another order, or by one
 * who may not confirm it, is ignored, with a warning.
 * @throws AWS_*, CONFIG_INVALID, KEY_INVALID.
 */
export async function readDecisions(session: Session, about: Decided): Promise<Decisions> {
  const [confirm, cancel] = await Promise.all([
    readDecision(session, about, 'confirm'),
    readDecision(session, about, 'cancel'),
  ]);
  return { confirm, cancel };
}

/** Who decided and why: `ann@desk: the shop is slow`. */
export const deciderText = ({ by, reason }: Pick<Decision, 'by' | 'reason'>) =>
  reason ? `${by}: ${reason}` : by;

/** Who cancelled the deployment and why, whatever its strategy; undefined if nobody did. @throws AWS_*. */
export async function cancelOf(session: Session, about: Decided): Promise<string | undefined> {
  const found = await readDecision(session, about, 'cancel');
  return found && deciderText(found);
}

/**
 * Who cancelled a rolling deployment and why; undefined if nobody did. Always undefined for a deployment to all
 * instances at once, whose outcome depends on the reports only.
 */
export async function cancelledBy(session: Session, about: Decided): Promise<string | undefined> {
  if (about.value.rolling === undefined) return undefined;
  return await cancelOf(session, about);
}

/**
 * Writes the decision, unless a decision of this kind is stored already. One that does not count is replaced.
 * @returns the stored decision.
 * @throws NOT_ALLOWED for a confirmation by a program, or by one who may not (see `confirmation.ts`); AWS_*,
 * CONFIG_INVALID, KEY_INVALID.
 */
export async function decide(
  session: Session,
  about: Decided,
  kind: DecisionKind,
  reason?: string,
): Promise<Decision> {
  if (kind === 'confirm') refuseToConfirm(session, about.value);
  const { service, deployment: id } = about.value;
  const signer = await session.signer();
  const value = decision.parse({
    ...{ v: 1, env: session.env.name, service, deployment: id, kind, by: session.who, reason },
    ...actorOf(session),
    head: digestOf(about.document.head),
    at: new Date(session.clock.now()).toISOString(),
    nonce: nonce(),
  });
  const body = await signer.sign('td-decision+jws', value);
  const { objects } = session.record;
  const key = keys.decision(session.env.name, service, id, kind);
  const written = await compareAndSwap(objects, {
    key,
    attempts: ATTEMPTS,
    read: () => objects.read(key),
    async next(stored) {
      const before = stored && (await verified(session, about, kind, stored.text));
      return before === undefined ? { body, value } : { value: before };
    },
  });
  return written.value;
}

async function readDecision(
  session: Session,
  about: Decided,
  kind: DecisionKind,
): Promise<Decision | undefined> {
  const { service, deployment } = about.value;
  const key = keys.decision(session.env.name, service, deployment, kind);
  const stored = await session.record.objects.read(key);
  return stored && (await verified(session, about, kind, stored.text));
}

/** The decision that `text` holds; undefined, with a warning, when it is none about this deployment. */
async function verified(
  session: Session,
  { value, document }: Decided,
  kind: DecisionKind,
  text: string,
): Promise<Decision | undefined> {
  const { service, deployment: id } = value;
  const key = keys.decision(session.env.name, service, id, kind);
  try {
    const verifier = await session.verifier();
    const found = await verifyStored(verifier, 'td-decision+jws', key, text, decision);
    const about = [found.env, found.service, found.deployment, found.kind].join(' ');
    if (about !== [session.env.name, service, id, kind].join(' ')) {
      warn(session, `${key} holds the decision ${about}; ignored`);
    } else if (found.head !== digestOf(document.head)) {
      warn(session, `${key} decides about another order than that of ${id}; ignored`);
    } else {
      const why = kind === 'confirm' ? whyNotConfirming(value, found) : undefined;
      if (why === undefined) return found;
      warn(session, `${key} does not count: ${why}`);
    }
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    warn(session, `${error.message}; ignored`);
  }
  return undefined;
}

function warn(session: Session, text: string): void {
  note(session, text, 'warning');
}
