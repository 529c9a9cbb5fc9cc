import { type ErrorCode, TriggerDeployError } from '../../shared/errors.ts';
import { agentQueueName } from '../../shared/names.ts';
import { type Cleaner, openCleaner } from '../cleanup/aws-cleaner.ts';
import { cleanDeployments } from '../cleanup/deployments.ts';
import type { Finding, GcContext } from '../cleanup/finding.ts';
import { type Fleet, findGone } from '../cleanup/instances.ts';
import {
  cleanQueues,
  cleanReplyQueues,
  cleanSubscriptions,
  type Inventory,
  ownSubscriptions,
} from '../cleanup/queues.ts';
import { cleanRecords } from '../cleanup/records.ts';
import { cleanUploads } from '../cleanup/uploads.ts';
import { cleanVersions } from '../cleanup/versions.ts';
import { pushedServices } from '../cleanup/wanted.ts';
import { retentionOf } from '../config/retention.ts';
import { KINDS, type Kind, OF_SERVICES } from '../plan/gc-kinds.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface GcOptions {
  /** Only what is of this service: its instance records, versions, deployment records and uploads. */
  service?: string | undefined;
  /** Whether to delete; else it is a dry run. */
  deletes: boolean;
  /** Which kinds; all when left out. */
  only?: readonly Kind[] | undefined;
}

export interface GcAnswer {
  type: 'gc';
  env: string;
  deletes: boolean;
  findings: Finding[];
  /** What could not be looked for, or deleted, as a whole: a permission is missing. */
  problems: { kind: Kind; what: string; hint?: string | undefined }[];
}

const OF_INSTANCES: readonly Kind[] = ['subscriptions', 'queues', 'records'];

/** What no other kind could do without. */
const FATAL: readonly ErrorCode[] = ['INTERRUPTED', 'BUCKET_NOT_FOUND', 'INTERNAL'];

/**
 * `trigger-deploy gc`: finds what instances that are gone, publishers that have died and old deployments left behind, and
 * deletes it on request. A dry run deletes nothing. It may be killed and repeated at any time, and two may run at a time.
 * A missing permission is named, and the rest goes on.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID, AWS_UNREACHABLE.
 */
export async function gc(session: Session, { service, deletes, only }: GcOptions): Promise<GcAnswer> {
  if (service !== undefined) await checkServiceExists(session, service);
  const possible = service === undefined ? KINDS : OF_SERVICES;
  const kinds = new Set(only ?? possible);
  const context: GcContext = { session, deletes, service, findings: [] };
  const problems: GcAnswer['problems'] = [];
  const cleaner = openCleaner(session);

  /** Goes on after what is denied or damaged, which is a problem of this kind only. */
  async function attempt<T>(kind: Kind, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      session.signal.throwIfAborted();
      if (!(error instanceof TriggerDeployError) || FATAL.includes(error.code)) throw error;
      problems.push({ kind, what: error.message, hint: error.hint });
      return undefined;
    }
  }

  const fleet = await attemptFleet();
  async function attemptFleet(): Promise<Fleet | undefined> {
    const isOfAws = [...OF_INSTANCES, 'reply-queues' as const].some((kind) => kinds.has(kind));
    if (!isOfAws && !kinds.has('versions')) return undefined;
    const inventory = await attempt('queues', () => takeInventory(session, cleaner, kinds));
    const found = await attempt('records', () => findGone(session, cleaner, inventory?.queues ?? new Map()));
    if (inventory && found) {
      if (kinds.has('subscriptions'))
        await attempt('subscriptions', () => cleanSubscriptions(context, cleaner, inventory, found));
      if (kinds.has('queues')) await attempt('queues', () => cleanQueues(context, cleaner, inventory, found));
    }
    if (found && kinds.has('records')) await attempt('records', () => cleanRecords(context, cleaner, found));
    if (inventory && kinds.has('reply-queues'))
      await attempt('reply-queues', () => cleanReplyQueues(context, cleaner, inventory));
    return found;
  }

  const known = [...(await pushedServices(session)), ...(await session.record.deployments.services())];
  const services = service === undefined ? [...new Set(known)].sort() : [service];
  for (const name of services) {
    const retention = retentionOf(session.env.retention, session.env.services[name]?.retention);
    const running = fleet?.running.get(name) ?? new Set<string>();
    if (kinds.has('versions'))
      await attempt('versions', () => cleanVersions(context, cleaner, name, { retention, running }));
    if (kinds.has('deployments'))
      await attempt('deployments', () => cleanDeployments(context, cleaner, name, { retention }));
  }
  if (kinds.has('uploads')) await attempt('uploads', () => cleanUploads(context, cleaner));
  return { type: 'gc', env: session.env.name, deletes, findings: context.findings, problems };
}

/** The subscriptions first: a queue that is made meanwhile is then not taken for a missing one. */
async function takeInventory(
  { env }: Session,
  cleaner: Cleaner,
  kinds: ReadonlySet<Kind>,
): Promise<Inventory> {
  const subscriptions = kinds.has('subscriptions') ? await ownSubscriptions(cleaner, env.topic) : new Map();
  return { subscriptions, queues: await cleaner.listQueues(agentQueueName(env.name, '')) };
}
