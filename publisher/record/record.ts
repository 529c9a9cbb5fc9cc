import type { Aws } from '../../shared/aws.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Desired } from '../../shared/desired.ts';
import { isCode } from '../../shared/errors.ts';
import type { Sessions } from '../../shared/role-session.ts';
import type { Signer, Verifier } from '../../shared/signing.ts';
import { openChangeList } from './changes.ts';
import { type Deployments, openDeployments } from './deployments.ts';
import { type DesiredStates, openDesiredStates } from './desired-state.ts';
import { type Locks, openLocks } from './lock.ts';
import { type Objects, openObjects } from './objects.ts';
import type { Origin } from './origin.ts';
import { forAgents, openPauses, type Pauses } from './pauses.ts';
import { ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { rememberObjects, rememberVerifier } from './remember.ts';
import { openResigner, type Resigner } from './resign.ts';
import { openVersions, type Versions } from './versions.ts';

/** The S3 record of one environment: the source of truth. */
export interface EnvironmentRecord {
  readonly objects: Objects;
  /** This process, as its locks and queue entries name it. */
  readonly here: ProcessIdentity;
  readonly locks: Locks;
  readonly desired: DesiredStates;
  readonly pauses: Pauses;
  readonly deployments: Deployments;
  readonly versions: Versions;
  /** Signs documents again, for the rotation of the signing key. */
  readonly resigner: Resigner;
}

export interface RecordOptions {
  env: { readonly name: string; readonly bucket: string; readonly sessions?: Sessions | undefined };
  aws: Aws;
  clock: Clock;
  who: string;
  origin: Origin;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
  /** Shows a warning: an unreadable object, or a lock whose heartbeat fails. */
  warn: (text: string) => void;
  /** Shows what is read, when it takes long because it is much. */
  tell?: ((text: string) => void) | undefined;
  /** Ends the reads of documents; only their deadlines when left out. */
  reading?: AbortSignal | undefined;
  /** Whether what was read is kept by its ETag (remember.ts): only for a process that looks again and again. */
  remembers?: boolean | undefined;
}

function ignoreUnverified(error: unknown): undefined {
  if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
}

export function openRecord(options: RecordOptions): EnvironmentRecord {
  const { clock, who, origin, signer, warn } = options;
  const env = options.env.name;
  const now = () => clock.now();
  const { aws, reading: signal, tell } = options;
  const { bucket } = options.env;
  const plain = openObjects(aws, bucket, { signal, ...(tell && { tell }) });
  const objects = options.remembers ? rememberObjects(plain, bucket) : plain;
  const verifier = options.remembers ? rememberVerifier(options.verifier) : options.verifier;
  // A desired state that cannot be verified has no copy of a pause: whatever needs it is refused anyway.
  const copyOf = async (service: string) =>
    (await desired.read(service).catch(ignoreUnverified))?.value.pause;
  const pauses = openPauses({ env, objects, signer, verifier, copyOf });
  const pauseOf = async (service: string, copy: Promise<Desired['pause']>) =>
    forAgents(await pauses.of(service, copy));
  const changes = openChangeList({ env, objects, warn });
  const desired = openDesiredStates({ env, objects, changes, signer, verifier, now, pauseOf });
  const deployments = openDeployments({
    ...{ env, objects, signer, verifier, warn, now },
    sessions: options.env.sessions,
  });
  const versions = openVersions(objects, verifier);
  const resigner = openResigner({ env, objects, changes, signer, verifier });
  /** The sequence must not decrease when the lock was deleted. */
  const floor = async (service: string) => {
    const [state, newest] = await Promise.all([desired.read(service), deployments.newest(service)]);
    return Math.max(state?.value.sequence ?? 0, newest?.value.sequence ?? 0);
  };
  const here = ownIdentity(origin.host);
  const locks = openLocks({ env, objects, clock, who, here, warn, floor });
  return { objects, here, locks, desired, pauses, deployments, versions, resigner };
}
