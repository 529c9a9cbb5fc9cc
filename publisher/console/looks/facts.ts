import type { Desired } from '../../../shared/desired.ts';
import { isCode, type TriggerDeployError } from '../../../shared/errors.ts';
import type { InstanceRecord } from '../../../shared/report.ts';
import type { QueueEntry } from '../../queue/queue.ts';
import { openQueue, type QueueStore } from '../../queue/queue-store.ts';
import type { DeploymentRecord } from '../../record/deployment-schema.ts';
import type { LockView } from '../../record/lock.ts';
import { mapLimit } from '../../record/map-limit.ts';
import type { PauseFound } from '../../record/pauses.ts';
import type { Session } from '../../session.ts';

/** What is read of one service in one environment, for the pages. Reading it writes and announces nothing. */

export interface Facts {
  service: string;
  desired: Desired | undefined;
  /** Why the desired state cannot be read. */
  trouble: TriggerDeployError | undefined;
  /** The document of its own pause. */
  pause: PauseFound | undefined;
  lock: LockView;
  /** The publishers that wait, without those that are certainly dead: the next one first. */
  queue: readonly QueueEntry[];
  instances: readonly InstanceRecord[];
  /** When each instance last wrote its record of the service, ms since the epoch by S3's clock. */
  recordsAt: ReadonlyMap<string, number>;
  /** The deployment with the highest sequence; undefined when there is none, or when it is not known yet. */
  newest: DeploymentRecord | undefined;
  /** When all of this was read, ms since the epoch. */
  readAt: number;
}

/** The reads of one service. */
export interface FactsReader {
  /** Everything but `newest`. @throws AWS_*. */
  read(): Promise<Omit<Facts, 'newest'>>;
  /** The lock and the queue. @throws AWS_*. */
  lock(): Promise<[LockView, readonly QueueEntry[]]>;
  /** One deployment; undefined when it cannot be verified. @throws AWS_*. */
  record(id: string): Promise<DeploymentRecord | undefined>;
  /** The deployment with the highest sequence. @throws AWS_*. */
  newest(known: Pick<Facts, 'desired' | 'lock'>): Promise<DeploymentRecord | undefined>;
}

/** What is wrong with a document, and not with the way to it. */
const isDamage = (error: unknown) =>
  isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'RECORD_DAMAGED', 'DEPLOYMENT_NOT_FOUND');

/** How many records are read at a time. */
const READS = 8;

export function openFactsReader(session: Session, service: string): FactsReader {
  const { record, clock, env } = session;
  const store: QueueStore = openQueue(
    { env: env.name, objects: record.objects, clock, here: record.here, warn: () => undefined },
    service,
    '',
  );

  async function queue(): Promise<readonly QueueEntry[]> {
    const { queue } = await store.look();
    const dead = store.dead();
    return queue.filter(({ id }) => !dead.has(id));
  }

  async function desired(): Promise<Pick<Facts, 'desired' | 'trouble'>> {
    try {
      return { desired: (await record.desired.read(service))?.value, trouble: undefined };
    } catch (error) {
      if (!isCode(error) || !isDamage(error)) throw error;
      return { desired: undefined, trouble: error };
    }
  }

  /** A lock that another writer damaged is shown as free: whoever wants it is told what is wrong. */
  async function lock(): Promise<LockView> {
    try {
      return await record.locks.look(service);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return { state: 'free', sequence: 0, owner: null, dead: false };
    }
  }

  /** Nobody waits for a lock that is free: the queue is then not read. */
  async function lockAndQueue(): Promise<[LockView, readonly QueueEntry[]]> {
    const held = await lock();
    return [held, held.owner === null ? [] : await queue()];
  }

  async function one(id: string): Promise<DeploymentRecord | undefined> {
    try {
      return (await record.deployments.read(service, id)).value;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return undefined;
    }
  }

  async function newest({
    desired,
    lock,
  }: Pick<Facts, 'desired' | 'lock'>): Promise<DeploymentRecord | undefined> {
    const named = [desired?.deployment, lock.owner?.deployment].filter((id) => id !== undefined).sort();
    const after = await record.deployments.idsAfter(service, named[0]);
    const found = await mapLimit([...new Set([...after, ...named])], READS, one);
    return found.filter((each) => each !== undefined).sort((a, b) => b.sequence - a.sequence)[0];
  }

  return {
    lock: lockAndQueue,
    record: one,
    newest,
    async read() {
      const readAt = clock.now();
      const [wanted, pause, [held, waiting], listed] = await Promise.all([
        desired(),
        record.pauses.read(service),
        lockAndQueue(),
        record.deployments.listInstances(service),
      ]);
      return {
        ...{ service, ...wanted, pause, lock: held, queue: waiting, readAt },
        instances: await listed.read(),
        recordsAt: listed.writtenAt,
      };
    },
  };
}
