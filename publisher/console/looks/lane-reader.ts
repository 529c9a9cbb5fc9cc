import { isCode } from '../../../shared/errors.ts';
import { rollbackTarget } from '../../plan/rollback-target.ts';
import type { DeploymentRecord } from '../../record/deployment-schema.ts';
import { mapLimit } from '../../record/map-limit.ts';
import { type Obstacle, obstacleOf, obstacleOfKey } from '../../rollout/obstacles.ts';
import { provenIn } from '../../rollout/requires.ts';
import type { Session } from '../../session.ts';
import type { Facts } from './facts.ts';

/** What the page of a service shows of one environment besides the cell of the overview. */

export interface LaneMore {
  /** The newest deployments, the newest first. */
  records: readonly DeploymentRecord[];
  /** Why nothing can be signed here. */
  key: readonly Obstacle[];
  pushes: readonly Push[];
  /** What `promote` would bring here, and why it would be refused. */
  promote: { from: string; version: string; refused: readonly Obstacle[] } | undefined;
  rollbackTo: string | undefined;
  /** Why the deployment was ordered that set the desired state. */
  reason: string | undefined;
}

/** A pushed version. */
export interface Push {
  version: string;
  pushedAt: number | undefined;
  pushedBy: string | undefined;
  /** The address of the build; only of a manifest that is signed. */
  build: string | undefined;
  /** Whether its manifest says so, and not only the index. */
  isSigned: boolean;
}

/** How many deployments and versions are read. */
const RECORDS = 50;
const VERSIONS = 20;
/** How many manifests are read at a time. */
const READS = 8;

/**
 * @param pushed the manifests that were read before: they never change.
 * @param source the environment that `requires` names, as it was read.
 * @throws AWS_*.
 */
export async function readLane(
  session: Session,
  facts: Pick<Facts, 'service' | 'desired'>,
  { source, pushed }: { source: Pick<Facts, 'desired'> | undefined; pushed: Map<string, Push> },
): Promise<LaneMore> {
  const { service, desired } = facts;
  const [records, key, pushes, promote] = await Promise.all([
    session.record.deployments.list(service, RECORDS),
    obstacleOfKey(session),
    readPushes(session, service, pushed),
    promotable(session, facts, source),
  ]);
  return {
    ...{ records, key, pushes, promote },
    rollbackTo: rollbackTarget(desired, records),
    reason: records.find(({ deployment }) => deployment === desired?.deployment)?.reason,
  };
}

async function promotable(
  session: Session,
  { service, desired }: Pick<Facts, 'service' | 'desired'>,
  source: Pick<Facts, 'desired'> | undefined,
): Promise<LaneMore['promote']> {
  const from = session.env.requires;
  const version = source?.desired?.version;
  if (from === undefined || version === undefined || version === desired?.version) return undefined;
  const refused = await obstacleOf(async () => await provenIn(await session.beside(from), service, version));
  return { from, version, refused };
}

async function readPushes(session: Session, service: string, pushed: Map<string, Push>): Promise<Push[]> {
  const { versions } = session.record;
  const indexed = await versions.pushes(service, VERSIONS);
  return await mapLimit(indexed, READS, async ({ version, pushedAt, pushedBy }) => {
    const known = pushed.get(version);
    if (known !== undefined) return known;
    try {
      const manifest = await versions.readManifest(service, version);
      const { build } = manifest;
      const at = Date.parse(manifest.pushedAt);
      const push = { version, pushedAt: at, pushedBy: manifest.pushedBy, build, isSigned: true };
      pushed.set(version, push);
      return push;
    } catch (error) {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'VERSION_NOT_FOUND', 'SERVICE_NOT_FOUND')) {
        throw error;
      }
      const at = pushedAt === undefined ? undefined : Date.parse(pushedAt);
      return { version, pushedAt: at, pushedBy, build: undefined, isSigned: false };
    }
  });
}
