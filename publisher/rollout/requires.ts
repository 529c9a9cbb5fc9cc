import type { Desired } from '../../shared/desired.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Artifact, Manifest } from '../../shared/manifest.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import type { Session } from '../session.ts';

/** Whether a version has shown in an environment that it runs: what promotions, and `requires:`, ask for. */

/** Two publishers' clocks may differ by that much, ms. */
const CLOCKS_MS = 3_600_000;

type Past = Pick<PastDeployment, 'version' | 'action' | 'status' | 'artifacts'> &
  Pick<DeploymentRecord, 'targets'>;

/**
 * Pure: whether `past` brought the very package to everybody, and passed. What was for some instances only, and what
 * was ordered on an instance, says nothing of the fleet; a restart brings nothing.
 */
export function isProof(past: Past, version: string, packageDigest: string): boolean {
  return (
    past.version === version &&
    past.action !== 'restart' &&
    past.status === 'succeeded' &&
    past.targets === undefined &&
    past.artifacts.some((one) => one.role === 'package' && one.sha256 === packageDigest)
  );
}

export function packageOf(artifacts: readonly Artifact[]): Artifact {
  const found = artifacts.find((one) => one.role === 'package');
  if (found === undefined) throw new Error('a version without a package');
  return found;
}

/**
 * The manifest of what the environment should run and does: `version`, else what its desired state says.
 * @throws NOT_PROVEN when no deployment of it succeeded there, SIGNATURE_INVALID, AWS_*.
 */
export async function provenIn(session: Session, service: string, version?: string): Promise<Manifest> {
  const env = session.env.name;
  const desired = (await session.record.desired.read(service))?.value;
  const wanted = version ?? desired?.version;
  if (wanted === undefined) {
    throw new TriggerDeployError('NOT_PROVEN', `${service} was never deployed in ${env}`, {
      hint: `trigger-deploy ${service} VERSION --env ${env}`,
    });
  }
  const found = await manifestOf(session, service, wanted);
  const { sha256 } = packageOf(found.artifacts);
  const brought = desired?.version === wanted ? desired.deployment : undefined;
  if (!(await hasSucceeded(session, found, sha256, brought))) throw unproven(env, service, wanted);
  return found;
}

/**
 * Lets pass what the environment's `requires:` allows: the same package has succeeded in the environment it names.
 * @throws NOT_PROVEN, saying what to do; as `provenIn`.
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
      `${name} requires that ${service} ${version} succeeded in ${requires}, and it has not: ${error.message}`,
      {
        cause: error,
        hint: `first trigger-deploy ${service} ${version} --env ${requires}, then trigger-deploy promote ${service} --from ${requires} --to ${name}`,
      },
    );
  });
  if (packageOf(proven.artifacts).sha256 === packageOf(wanted.artifacts).sha256) return;
  throw new TriggerDeployError(
    'NOT_PROVEN',
    `${name} requires what succeeded in ${requires}, and ${service} ${version} is another package there: ${proven.pushedBy} pushed it at ${proven.pushedAt}`,
    { hint: `build a new version, deploy it in ${requires}, and promote that` },
  );
}

/**
 * Lets a rollback to a version pass that was named: what ran here has its proof. What never did is as new here as what
 * is deployed, so it has to be proven where that has, and to be confirmed where that is.
 * @throws NOT_PROVEN.
 */
export async function checkReturn(
  session: Session,
  wanted: Manifest,
  desired: Desired | undefined,
): Promise<void> {
  const { name, requires, confirm } = session.env;
  const { service, version, artifacts } = wanted;
  if (requires === undefined && confirm !== 'person') return;
  if (version === desired?.version || version === desired?.previous) return;
  if (await hasSucceeded(session, wanted, packageOf(artifacts).sha256)) return;
  await checkRequired(session, wanted);
  if (confirm !== 'person') return;
  throw new TriggerDeployError(
    'NOT_PROVEN',
    `${service} ${version} never ran in ${name}, where a person confirms what is new`,
    { hint: `trigger-deploy ${service} ${version} --env ${name} deploys it, and waits for a person` },
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
  { service, version, pushedAt }: Manifest,
  sha256: string,
  /** The deployment that set the desired state: mostly it is the proof. */
  brought?: string,
): Promise<boolean> {
  const wanted = (past: Past) => isProof(past, version, sha256);
  if (brought !== undefined) {
    const record = await deployments.read(service, brought).catch((error: unknown) => {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND', 'DOCUMENT_INVALID')) return undefined;
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
      hint: `trigger-deploy history ${service} --env ${env} shows what became of it; one that nobody saw the end of is settled by watch`,
    },
  );
}
