import { type Manifest, sameArtifacts } from '../../shared/manifest.ts';
import { type ExitCode, note } from '../events.ts';
import { describeFiles, partOf } from '../packages/local-files.ts';
import { publish } from '../packages/publish.ts';
import { acquire } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import { refuseUnverified } from '../rollout/confirmation.ts';
import { deployVersion } from '../rollout/deploy-version.ts';
import { checkRequired } from '../rollout/requires.ts';
import type { RolloutOptions } from '../rollout/start.ts';
import type { Session } from '../session.ts';

export interface PushOptions {
  service: string;
  version: string;
  /** The package, then config files. */
  files: readonly string[];
  /** More config files. */
  configs: readonly string[];
}

export interface PushAnswer {
  type: 'pushed';
  /** False when the version existed already, with the same bytes. */
  changed: boolean;
  env: string;
  manifest: Manifest;
}

/**
 * `trigger-deploy push`: uploads files of this machine as a new version.
 * @throws USAGE naming the file; VERSION_EXISTS when the version exists with other bytes.
 */
export async function push(session: Session, options: PushOptions): Promise<PushAnswer> {
  const { service, version } = options;
  // A missing key must be reported before the files are read.
  await session.signer();
  const warn = (text: string) => note(session, text, 'warning');
  const files = await describeFiles(options.files, options.configs, session.signal, warn);
  const artifacts = files.map((file) => file.artifact);
  const published = await publish(session, {
    ...{ service, version, parts: files.map(partOf), pushedBy: session.who, build: session.origin.build },
    isSame: (there) => sameArtifacts(there.artifacts, artifacts),
  });
  return { type: 'pushed', env: session.env.name, ...published };
}

export interface PushAndDeployOptions extends PushOptions, RolloutOptions {
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait while other publishers change the service. */
  queueMode?: QueueMode;
  /** The sequence of the desired state that this command may change; 0: none. Any when left out. */
  ifSequence?: number | undefined;
}

/**
 * `trigger-deploy push --deploy ENV`: pushes a version, then deploys it. A version that exists already with the same
 * bytes is deployed, too. Ctrl-C ends the push. After the announcement, Ctrl-C only stops following the deployment.
 * @throws as `push` and `deploy`.
 */
export async function pushAndDeploy(
  session: Session,
  options: PushAndDeployOptions,
  onPushed: (pushed: PushAnswer) => void,
): Promise<ExitCode> {
  refuseUnverified(session);
  const signal = AbortSignal.any([session.signal, options.detach]);
  const pushed = await push({ ...session, signal }, options);
  onPushed(pushed);
  await checkRequired(session, pushed.manifest);
  const { service, version, reason, queueMode, ifSequence, detach } = options;
  const wanted = { service, version, command: 'push --deploy', reason, queueMode, ifSequence, detach };
  const ticket = await acquire(session, wanted);
  try {
    return await deployVersion(session, ticket, pushed.manifest, options);
  } finally {
    await ticket.lock.release();
  }
}
