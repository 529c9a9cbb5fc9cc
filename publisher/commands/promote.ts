import { TriggerDeployError } from '../../shared/errors.ts';
import { type Manifest, sameArtifacts } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { type ExitCode, note } from '../events.ts';
import { storedBytes } from '../packages/download.ts';
import { describeConfigs, partOf } from '../packages/local-files.ts';
import { publish } from '../packages/publish.ts';
import type { Part } from '../packages/upload.ts';
import { verifiedBytes } from '../packages/verify-stream.ts';
import { checkRequired, packageOf, provenIn } from '../rollout/requires.ts';
import type { Session } from '../session.ts';
import { deployVersion, type Going } from './deploy.ts';

export interface PromoteOptions extends Going {
  service: string;
  /** The environment it comes from. */
  from: string;
  /** What the desired state there says, when left out. */
  version?: string | undefined;
  /** Config files of the environment it goes to; those of the other one stay behind. */
  configs: readonly string[];
  reason?: string | undefined;
}

/**
 * `trigger-deploy promote SERVICE --from dev --to stg`: what runs in one environment becomes a version of the next,
 * whose session this is, and is deployed there. The manifest is verified with the keys of the first and signed with
 * that of the second. Interrupted anywhere, the same again goes on.
 * @throws NOT_PROVEN for what has not succeeded there, VERSION_EXISTS, ARTIFACT_*, and as `deploy`.
 */
export async function promote(session: Session, options: PromoteOptions): Promise<ExitCode> {
  const { service, from, detach, configs, version } = options;
  if (from === session.env.name) {
    throw new TriggerDeployError('USAGE', `${from} is where it would come from and where it would go`, {
      hint: 'name two environments: --from dev --to stg',
    });
  }
  await session.signer();
  const source = await session.beside(from);
  const proven = await provenIn(source, service, version);
  await checkRequired(session, proven);
  // Until something is announced Ctrl-C ends it.
  const signal = AbortSignal.any([session.signal, detach]);
  const brought = await bring({ ...session, signal }, source, proven, configs);
  return await deployVersion(session, brought, { ...options, command: 'promote', promotedFrom: from });
}

/** The version as the environment of `session` has it: its package is that of `proven`, its config files are its own. */
async function bring(
  session: Session,
  source: Session,
  proven: Manifest,
  configs: readonly string[],
): Promise<Manifest> {
  const { service, version } = proven;
  const ours = (await describeConfigs(configs, packageOf(proven.artifacts).name, session.signal)).map(partOf);
  const parts = [packagePart(source, session, proven), ...ours];
  const artifacts = parts.map((part) => part.artifact);
  refuseSharedConfigs(session, source, proven, configs);
  const { changed, manifest } = await publish(session, {
    ...{
      service,
      version,
      parts,
      pushedBy: `${session.who.slice(0, 200)}, promoted from ${source.env.name}`,
    },
    isSame: (there) =>
      configs.length > 0
        ? sameArtifacts(there.artifacts, artifacts)
        : packageOf(there.artifacts).sha256 === packageOf(artifacts).sha256,
  });
  const done = changed ? `is brought from ${source.env.name} to` : 'is there already, the same package, in';
  const text = `${service} ${version} ${done} ${session.env.name}`;
  note(session, text);
  return manifest;
}

function packagePart(source: Session, { clock }: Session, { service, version, artifacts }: Manifest): Part {
  const artifact = packageOf(artifacts);
  const { s3 } = source.aws;
  const { bucket } = source.env;
  const key = keys.artifact(service, version, artifact.sha256, artifact.name);
  const from = `s3://${bucket}/${key}`;
  const refuse = (why: string) =>
    new TriggerDeployError('ARTIFACT_DIGEST_MISMATCH', `${from} is not what was signed: ${why}`, {
      hint: `find out who changed it before anything else; ${source.env.name} may run it`,
    });
  return {
    artifact,
    from,
    bytes: (signal) =>
      verifiedBytes(storedBytes({ s3, bucket, key, signal, clock }), artifact, signal, refuse),
  };
}

/** In one bucket a version has one set of files: there the config files of one environment would go to the other. */
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
    { hint: 'give each environment a bucket of its own, or keep config files on the instances' },
  );
}
