import { isCode } from '../../shared/errors.ts';
import { livingQueue } from '../queue/queue-store.ts';
import type { Session } from '../session.ts';
import { type FleetStatusOptions, fleetStatusWith, type ServiceFleet } from './fleet-status.ts';

/** What `status` shows of a service: its instances, and the publishers that change it or wait to. */
export interface ServiceStatus extends ServiceFleet {
  /** The publisher that changes the service now. */
  owner: ServiceOwner | undefined;
  /** The publishers that wait to change it: the next one first. */
  queue: WaitingPublisher[];
}

/** Who holds the lock of a service. */
export interface ServiceOwner {
  who: string;
  /** The verb: `deploy`, `rollback`, `resume`. */
  command: string;
  deployment: string;
  since: string;
  /** Its last heartbeat. */
  beat: string;
  /** Whether it gave no heartbeat for 60 s, or has certainly died: the next publisher takes the lock over. */
  stale: boolean;
}

export interface WaitingPublisher {
  who: string;
  command: string;
  version?: string | undefined;
  since: string;
  /** The reason for going to the front. */
  jumped?: string | undefined;
}

/** As `fleetStatus`, with two reads more for each service: its lock and its queue. @throws as `fleetStatus`. */
export async function serviceStatus(session: Session, options: FleetStatusOptions): Promise<ServiceStatus[]> {
  return await fleetStatusWith(session, options, async (service) => {
    const [owner, queue] = await Promise.all([ownerOf(session, service), queueOf(session, service)]);
    return { owner, queue };
  });
}

async function ownerOf({ record }: Session, service: string): Promise<ServiceOwner | undefined> {
  try {
    const { owner, state, dead } = await record.locks.look(service);
    if (owner === null) return undefined;
    const { who, command, deployment, since, beat } = owner;
    return { who, command, deployment, since, beat, stale: state === 'stale' || dead };
  } catch (error) {
    // doctor says what is wrong with it, and so does whoever wants it.
    if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
    return undefined;
  }
}

/** Those that are certainly dead are left out. */
async function queueOf({ record, env, clock }: Session, service: string): Promise<WaitingPublisher[]> {
  const about = { env: env.name, clock, warn: () => undefined, ...record };
  return (await livingQueue(about, service)).map(({ who, command, version, since, jumped }) => ({
    ...{ who, command, since },
    ...(version !== undefined && { version }),
    ...(jumped !== undefined && { jumped }),
  }));
}
