import { isCode, messageOf } from '../../shared/errors.ts';
import type { Manifest } from '../../shared/manifest.ts';
import { withTimeout } from '../../shared/retry.ts';
import { note } from '../events.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface VersionsAnswer {
  env: string;
  service: string;
  at: number; // ms since the epoch
  /** The newest push first. */
  versions: PushedVersion[];
  /** Whether there are older versions than these. */
  more: boolean;
}

export interface PushedVersion {
  service: string;
  version: string;
  /** Undefined when the manifest cannot be read. */
  pushed: { at: string; by: string; size: number; build?: string | undefined } | undefined; // size in bytes, all files
  /** Why the manifest cannot be read. */
  error: { code: string; message: string } | undefined;
  /** The environments where the version is the desired version, or where an instance runs it. */
  runsIn: Place[];
}

export interface Place {
  env: string;
  /** Whether it is the desired version. */
  desired: boolean;
  /** The instances whose last record has this version, sorted. */
  instances: string[];
}

export interface VersionsOptions {
  service: string;
  /** At most this many versions. */
  limit: number;
  /** The names of other environments where the versions may run. */
  others: readonly string[];
  open: (env: string) => Promise<Session>;
  /** For tests, ms. */
  timeoutMs?: number;
}

/** Another environment that is not read within this time is left out, ms. Each call to AWS has its own, shorter deadline. */
const TIMEOUT_MS = 60_000;
/** How many manifests are read at a time. */
const READS = 8;

/**
 * `trigger-deploy versions SERVICE`: the newest pushes, with who pushed each and where it runs. It reads the index, one
 * manifest for each version listed, and the desired state and instance records of each environment. A manifest that
 * cannot be read is listed with the reason. Another environment that cannot be read is named in a warning.
 * @throws SERVICE_NOT_FOUND when nothing was pushed; CONFIG_INVALID without a key to verify manifests with.
 */
export async function versions(session: Session, options: VersionsOptions): Promise<VersionsAnswer> {
  const { service, limit } = options;
  await session.verifier();
  const names = await session.record.versions.newest(service, limit + 1);
  if (names.length === 0) await checkServiceExists(session, service);
  const others = options.others.filter((name) => name !== session.env.name);
  const [listed, here, ...there] = await Promise.all([
    mapLimit(names.slice(0, limit), READS, async (version) => await readPush(session, service, version)),
    readFleet(session, service),
    ...others.map((name) => readOther(session, name, options)),
  ]);
  const fleets = [here, ...there];
  return {
    ...{ env: session.env.name, service, at: session.clock.now(), more: names.length > limit },
    versions: listed.map((one) => ({ ...one, runsIn: placesOf(one.version, fleets) })),
  };
}

async function readPush(
  session: Session,
  service: string,
  version: string,
): Promise<Omit<PushedVersion, 'runsIn'>> {
  try {
    const manifest = await session.record.versions.readManifest(service, version);
    return { service, version, pushed: pushOf(manifest), error: undefined };
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'VERSION_NOT_FOUND')) throw error;
    const { code, message } = error;
    return { service, version, pushed: undefined, error: { code, message } };
  }
}

function pushOf({ pushedAt, pushedBy, build, artifacts }: Manifest) {
  return { at: pushedAt, by: pushedBy, build, size: artifacts.reduce((sum, { size }) => sum + size, 0) };
}

interface FleetVersions {
  env: string;
  desired: string | undefined;
  /** The version of each instance. */
  instances: { instance: string; version: string | null }[];
}

async function readFleet(session: Session, service: string): Promise<FleetVersions> {
  const { desired, deployments } = session.record;
  const [wanted, instances] = await Promise.all([
    desired.read(service).catch((error: unknown) => {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
      note(session, `the desired state in ${session.env.name} cannot be read: ${error.message}`, 'warning');
      return undefined;
    }),
    deployments.instances(service),
  ]);
  return { env: session.env.name, desired: wanted?.value.version, instances };
}

async function readOther(
  session: Session,
  env: string,
  { service, open, timeoutMs = TIMEOUT_MS }: VersionsOptions,
): Promise<FleetVersions> {
  try {
    return await withTimeout(timeoutMs, async () => await readFleet(await open(env), service));
  } catch (error) {
    if (isCode(error, 'INTERRUPTED')) throw error;
    note(session, `${env} cannot be read: ${messageOf(error)}`, 'warning');
    return { env, desired: undefined, instances: [] };
  }
}

function placesOf(version: string, fleets: readonly FleetVersions[]): Place[] {
  return fleets
    .map(({ env, desired, instances }) => ({
      env,
      desired: desired === version,
      instances: instances
        .filter((one) => one.version === version)
        .map((one) => one.instance)
        .sort(),
    }))
    .filter((place) => place.desired || place.instances.length > 0);
}
