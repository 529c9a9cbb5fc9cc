import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';
import { named } from './settle.ts';

/**
 * Asks the instances that failed before a rollback moves them. The reports in the bucket are not signed; SQS names the
 * sender of an answer.
 */

/** How long instances have to answer, ms. The wait ends once all of them have answered. */
const ANSWER_MS = 1000;

/**
 * Refuses the rollback of `undone` when those that it says failed answer that they succeeded, or have not ended. Who does
 * not answer refutes nothing.
 * @throws RECORD_DAMAGED.
 */
export async function refuseIfRefuted(session: Session, undone: DeploymentRecord): Promise<void> {
  const { deployment, service, version, policy, results = {} } = undone;
  const failed = Object.keys(results).filter((name) => isFailure(results[name]?.state));
  if (failed.length === 0) return;
  const answers = await answersOf(session, service, failed);
  const denies = (one: InstanceRecord) =>
    one.deployment === deployment &&
    one.state !== undefined &&
    (one.state === 'succeeded' || !isEnding(one.state));
  const refuted = failed.filter((name) => answers.some((one) => one.instance === name && denies(one)));
  if (refuted.length === 0 || failed.length - refuted.length > policy.maxFailures) return;
  throw damaged(
    undone,
    `the reports in the bucket say that ${version} failed on ${named(refuted)}, and the answers from there say that it runs, or is not ready yet: another writer may have written the reports; nothing is rolled back`,
  );
}

const isFailure = (state: NonNullable<DeploymentRecord['results']>[string]['state'] | undefined) =>
  state !== undefined && isEnding(state) && state !== 'succeeded';

async function answersOf(
  session: Session,
  service: string,
  known: readonly string[],
): Promise<InstanceRecord[]> {
  try {
    const answers = await rollCall(session, { service, known, waitMs: ANSWER_MS });
    return answers.flatMap(({ services }) => services.filter((one) => one.service === service));
  } catch (error) {
    // An outage must not prevent a rollback.
    if (session.signal.aborted || !isCode(error)) throw error;
    return [];
  }
}

function damaged({ service, env }: DeploymentRecord, why: string): TriggerDeployError {
  return new TriggerDeployError('RECORD_DAMAGED', why, {
    hint: `trigger-deploy status ${service} --env ${env} asks them; then deploy the wanted version, or roll back with --to`,
  });
}
