import type { Desired } from '../../shared/desired.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { type Artifact, type Manifest, samePackages } from '../../shared/manifest.ts';
import { hasProved } from '../plan/proved.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import type { Session } from '../session.ts';
import { refuseIfLost } from './lost-desired.ts';

/** Checks whether a version has succeeded in an environment: `promote` and `requires:` need this. */

/** The most that the clocks of two publishers may differ, ms. */
const CLOCKS_MS = 3_600_000;

type Past = Pick<PastDeployment, 'version' | 'action' | 'status' | 'artifacts' | 'unsigned'> &
  Pick<DeploymentRecord, 'targets' | 'counts'>;

/**
 * Whether `past` deployed this package to all instances, and succeeded, on at least one instance. A deployment to some
 * instances, or one that was started on an instance, proves nothing about the others; a restart deploys nothing; a record
 * that is not signed proves nothing. Pure.
 */
export function isProof(past: Past, version: string, artifacts: readonly Artifact[]): boolean {
  return (
    past.unsigned === undefined &&
    past.version === version &&
    past.action !== 'restart' &&
    hasProved(past) &&
    past.targets === undefined &&
    samePackages(past.artifacts, artifacts)
  );
}

/**
 * The manifest of `version`, or of the desired version when `version` is left out. The version must have succeeded in
 * the environment of `session`.
 * @throws NOT_PROVEN when no deployment of the version succeeded there; RECORD_DAMAGED when `version` is left out and an old
 * desired state was put back; SIGNATURE_INVALID; AWS_*.
 */
export async function provenIn(session: Session, service: string, version?: string): Promise<Manifest> {
  const env = session.env.name;
  const desired = (await session.record.desired.read(service))?.value;
  if (version === undefined) {
    const recent = await session.record.deployments.recent(service);
    const records = recent.map(({ value }) => value);
    // Not asked: to announce a roll call there needs the key of that environment.
    await refuseIfLost(session, desired, records, { service, ask: false });
  }
  const wanted = version ?? desired?.version;
  if (wanted === undefined) {
    throw new TriggerDeployError('NOT_PROVEN', `${service} was never deployed in ${env}`, {
      hint: `trigger-deploy ${service} VERSION --env ${env} deploys it`,
    });
  }
  const found = await manifestOf(session, service, wanted);
  const deployedBy = desired?.version === wanted ? desired.deployment : undefined;
  if (!(await hasSucceeded(session, found, deployedBy))) throw unproven(env, service, wanted);
  return found;
}

/**
 * Checks `requires:` of the environment. It names another environment, in which the same package must have succeeded.
 * @throws NOT_PROVEN with a hint what to do; and as `provenIn`.
 */
export async function checkRequired(session: Session, wanted: Manifest): Promise<void> {
  const { name, requires } = session.env;
  if (requires === undefined) return;
  const { service, version } = wanted;
  const before = await session.beside(requires);
  const proven = await provenIn(before, service, version).catch((error: unknown) => {
    if (!isCode(error, 'NOT_PROVEN')) throw error;
    throw new TriggerDeployError(
      'NOT_PROVEN',
      `${name} requires that ${service} ${version} has succeeded in ${requires}: ${error.message}`,
      {
        cause: error,
        hint: `first trigger-deploy ${service} ${version} --env ${requires}, then trigger-deploy promote ${service} --from ${requires} --to ${name}`,
      },
    );
  });
  if (samePackages(proven.artifacts, wanted.artifacts)) return;
  throw new TriggerDeployError(
    'NOT_PROVEN',
    `${name} requires the package that succeeded in ${requires}; there ${service} ${version} is a different package, pushed by ${proven.pushedBy} at ${proven.pushedAt}`,
    { hint: `build a new version, deploy it in ${requires}, and promote that` },
  );
}

/**
 * Checks a rollback to the version that `--to` names. A version that has succeeded here is allowed. Any other version
 * is new here, so the rules of a deployment apply to it: `requires:`, and the confirmation by a person.
 * @throws NOT_PROVEN.
 */
export async function checkRollbackTo(
  session: Session,
  wanted: Manifest,
  desired: Desired | undefined,
): Promise<void> {
  const { name, requires, confirm } = session.env;
  const { service, version } = wanted;
  if (requires === undefined && confirm === undefined) return;
  if (version === desired?.version || version === desired?.previous) return;
  if (await hasSucceeded(session, wanted)) return;
  await checkRequired(session, wanted);
  if (confirm === undefined) return;
  throw new TriggerDeployError(
    'NOT_PROVEN',
    `${service} ${version} never ran in ${name}, where a person must confirm new versions`,
    { hint: `trigger-deploy ${service} ${version} --env ${name} deploys it and waits for confirmation` },
  );
}

async function manifestOf(session: Session, service: string, version: string): Promise<Manifest> {
  try {
    return await session.record.versions.readManifest(service, version);
  } catch (error) {
    if (!isCode(error, 'VERSION_NOT_FOUND', 'SERVICE_NOT_FOUND')) throw error;
    const text = `${service} ${version} is not in ${session.env.name}`;
    throw new TriggerDeployError('NOT_PROVEN', text, { cause: error, hint: error.hint });
  }
}

async function hasSucceeded(
  { record: { deployments } }: Session,
  { service, version, pushedAt, artifacts }: Manifest,
  /** The deployment that set the desired state. It is checked first, because it usually is the proof. */
  deployment?: string,
): Promise<boolean> {
  const wanted = (past: Past) => isProof(past, version, artifacts);
  if (deployment !== undefined) {
    const record = await deployments.read(service, deployment).catch((error: unknown) => {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND', 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) return undefined;
      throw error;
    });
    if (record && wanted(record.value)) return true;
  }
  const since = Date.parse(pushedAt) - CLOCKS_MS;
  return (await deployments.history(service, 1, { since, wanted })).length > 0;
}

function unproven(env: string, service: string, version: string): TriggerDeployError {
  return new TriggerDeployError(
    'NOT_PROVEN',
    `no deployment of ${service} ${version} to all of ${env} has succeeded`,
    {
      hint: `trigger-deploy history ${service} --env ${env} shows the outcome of each; trigger-deploy watch ID settles one without an outcome`,
    },
  );
}
