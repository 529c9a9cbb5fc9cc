import { TriggerDeployError } from '../../shared/errors.ts';
import {
  type Artifact,
  type Manifest,
  packagesOf,
  sameArtifacts,
  samePackages,
} from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { type ExitCode, note } from '../events.ts';
import { storedBytes } from '../packages/download.ts';
import { describeConfigs, partOf } from '../packages/local-files.ts';
import { publish } from '../packages/publish.ts';
import type { Part } from '../packages/upload.ts';
import { verifiedBytes } from '../packages/verify-stream.ts';
import { acquire } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import { refuseUnverified } from '../rollout/confirmation.ts';
import { deployVersion } from '../rollout/deploy-version.ts';
import { checkRequired, provenIn } from '../rollout/requires.ts';
import type { RolloutOptions } from '../rollout/start.ts';
import type { Session } from '../session.ts';

export interface PromoteOptions extends RolloutOptions {
  service: string;
  /** The environment to promote from. */
  from: string;
  /** The desired version of `from` when left out. */
  version?: string | undefined;
  /** Config files for the target environment; those of the source environment are not copied. */
  configs: readonly string[];
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait while other publishers change the service. */
  queueMode?: QueueMode;
  /** The sequence of the desired state that this command may change; 0: none. Any when left out. */
  ifSequence?: number | undefined;
}

/**
 * `trigger-deploy promote SERVICE --from dev --to stg`: copies a version that has succeeded in one environment to
 * the environment of this session, and deploys it there. The manifest is verified with the keys of the source
 * environment, and signed with the key of the target environment. After an interruption, the same command can be run
 * again.
 * @throws NOT_PROVEN for a version that has not succeeded in the source environment, VERSION_EXISTS, ARTIFACT_*, and
 * as `deploy`.
 */
export async function promote(session: Session, options: PromoteOptions): Promise<ExitCode> {
  const { service, from, detach, configs, reason, queueMode, ifSequence } = options;
  if (from === session.env.name) {
    throw new TriggerDeployError('USAGE', `--from and --to name the same environment: ${from}`, {
      hint: 'for example --from dev --to stg',
    });
  }
  refuseUnverified(session);
  await session.signer();
  const source = await session.beside(from);
  const proven = await provenIn(source, service, options.version);
  await checkRequired(session, proven);
  // Before the deployment is announced, Ctrl-C ends the command.
  const signal = AbortSignal.any([session.signal, detach]);
  const manifest = await copyVersion({ ...session, signal }, source, proven, configs);
  const { version } = manifest;
  const wanted = { service, version, command: 'promote', reason, queueMode, ifSequence, detach };
  const ticket = await acquire(session, wanted);
  try {
    return await deployVersion(session, ticket, manifest, { ...options, promotedFrom: from });
  } finally {
    await ticket.lock.release();
  }
}

/**
 * Pushes the version into the environment of `session`, with the package of `proven` and the config files in `configs`.
 */
async function copyVersion(
  session: Session,
  source: Session,
  proven: Manifest,
  configs: readonly string[],
): Promise<Manifest> {
  const { service, version } = proven;
  const packages = packagesOf(proven.artifacts);
  const names = packages.map(({ name }) => name);
  const ours = (await describeConfigs(configs, names, session.signal)).map(partOf);
  const parts = [...packages.map((one) => packagePart(source, session, proven, one)), ...ours];
  const artifacts = parts.map((part) => part.artifact);
  refuseSharedConfigs(session, source, proven, configs);
  const { changed, manifest } = await publish(session, {
    ...{
      service,
      version,
      parts,
      pushedBy: `${session.who.slice(0, 200)}, promoted from ${source.env.name}`,
      build: proven.build,
    },
    isSame: (there) =>
      configs.length > 0
        ? sameArtifacts(there.artifacts, artifacts)
        : samePackages(there.artifacts, artifacts),
  });
  const text = changed
    ? `copied ${service} ${version} from ${source.env.name} to ${session.env.name}`
    : `${service} ${version} is already in ${session.env.name}, with the same package`;
  note(session, text);
  return manifest;
}

function packagePart(
  source: Session,
  { clock }: Session,
  { service, version }: Manifest,
  artifact: Artifact,
): Part {
  const { s3 } = source.aws;
  const { bucket } = source.env;
  const key = keys.artifact(service, version, artifact.sha256, artifact.name);
  const from = `s3://${bucket}/${key}`;
  const refuse = (why: string) =>
    new TriggerDeployError('ARTIFACT_DIGEST_MISMATCH', `${from} is not the signed artifact: ${why}`, {
      hint: `find out who changed the file before you continue: instances in ${source.env.name} may run it`,
    });
  return {
    artifact,
    from,
    bytes: (signal) =>
      verifiedBytes(storedBytes({ s3, bucket, key, signal, clock }), artifact, signal, refuse),
  };
}

/**
 * Refuses config files when both environments use the same bucket. A version has one set of files in a bucket, so both
 * environments would get the same config files.
 */
function refuseSharedConfigs(
  session: Session,
  source: Session,
  { service, version, artifacts }: Manifest,
  configs: readonly string[],
): void {
  const { bucket, name } = session.env;
  const there = artifacts.filter((one) => one.role === 'config').map((one) => one.name);
  if (bucket !== source.env.bucket || (there.length === 0 && configs.length === 0)) return;
  const why =
    there.length > 0
      ? `${service} ${version} has config files of ${source.env.name} (${there.join(', ')})`
      : `${service} ${version} has no config files`;
  throw new TriggerDeployError(
    'USAGE',
    `${name} and ${source.env.name} share the bucket ${bucket}, where ${why}`,
    { hint: 'use one bucket per environment, or keep config files on the instances' },
  );
}
