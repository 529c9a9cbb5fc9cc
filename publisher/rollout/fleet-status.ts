import type { Desired } from '../../shared/desired.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { InstanceRecord, RollCallAnswer } from '../../shared/report.ts';
import { note } from '../events.ts';
import { rollCall as callRoll, type RollCall } from '../messaging/roll-call.ts';
import type { ListedInstances } from '../record/instance-objects.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Pause } from '../record/pauses.ts';
import type { Session } from '../session.ts';

export interface ServiceFleet {
  service: string;
  desired: Desired | undefined;
  /** Why the desired state cannot be read; `desired` is then undefined though there may be one. */
  trouble: string | undefined;
  /** The pause of the service or of the environment. */
  pause: Pause | undefined;
  instances: InstanceStatus[];
}

export interface FleetStatusOptions {
  /** All services when left out. */
  service?: string | undefined;
  /** Whether the instances are asked; else only the record is read, and nothing is announced. */
  rollCall?: boolean | undefined;
}

export interface InstanceStatus extends InstanceRecord {
  /**
   * Whether the instance answered the roll call. If not, the other fields are its last recorded state. Left out when
   * nobody was asked.
   */
  answered?: boolean | undefined;
  /** Whether the instance does not run the desired version; false when there is no desired state. */
  drift: boolean;
}

/** How long the roll call waits for answers, ms. */
const WAIT_MS = 1000;
/** From more instances on, they are asked while their records are read. */
const MANY = 200;
/** How much longer the roll call then waits for each of them, ms: SQS gives out some thousand answers a second. */
const WAIT_EACH_MS = 0.5;
const READS = 8;

/**
 * The instances of `service`, or of all services of the environment, and what each runs. The state of an instance comes
 * from its answer to a roll call, or from its last record if it does not answer. A desired state that cannot be
 * verified is not an error: `trouble` says why.
 * @throws AWS_UNREACHABLE; AWS_DENIED when the record cannot be read.
 */
export async function fleetStatus(
  session: Session,
  options: FleetStatusOptions = {},
): Promise<ServiceFleet[]> {
  return await fleetStatusWith(session, options, async () => ({}));
}

/** The same; of each service also what `more` reads, at the same time. @throws as `fleetStatus`, and what `more` throws. */
export async function fleetStatusWith<T extends object>(
  session: Session,
  { service, rollCall = true }: FleetStatusOptions,
  more: (service: string) => Promise<T>,
): Promise<(ServiceFleet & T)[]> {
  const about = async (name: string) => {
    const [desired, added] = await Promise.all([desiredOf(session, name), more(name)]);
    return { name, desired, added };
  };
  const { deployments } = session.record;
  const names = service === undefined ? await deployments.services() : [service];
  const listed = await mapLimit(names, READS, async (name) => ({
    instances: await deployments.listInstances(name),
    ...(await about(name)),
  }));
  const { answers, records } = rollCall
    ? await seen(session, service, listed)
    : {
        answers: [],
        records: await mapLimit(listed, READS, async ({ instances }) => await instances.read()),
      };
  const recorded = listed.map(({ name, desired, added }, i) => ({
    ...{ name, desired, added, records: records[i] ?? [] },
  }));
  const answered = answers
    .flatMap((answer) => answer.services)
    .filter((one) => service === undefined || one.service === service);
  for (const name of new Set(answered.map((one) => one.service))) {
    if (recorded.some((one) => one.name === name)) continue;
    recorded.push({ records: [], ...(await about(name)) });
  }
  const services = recorded.map(({ name, desired, added, records }) => ({
    ...{ service: name, ...desired, ...added },
    instances: merge(
      records,
      rollCall ? answered.filter((one) => one.service === name) : undefined,
      desired.desired?.version,
    ),
  }));
  return services.sort((a, b) => (a.service < b.service ? -1 : 1));
}

/**
 * The answers to the roll call, and for each service the records of its instances. Where there are many instances, they
 * are asked while their records are read, and the record of an instance that has answered is not read: its answer
 * replaces it anyway.
 */
async function seen(
  session: Session,
  service: string | undefined,
  listed: readonly { name: string; instances: ListedInstances }[],
): Promise<{ answers: RollCallAnswer[]; records: InstanceRecord[][] }> {
  const all = new Set(listed.flatMap(({ instances }) => instances.names));
  const read = (skip?: (instance: string) => boolean) =>
    mapLimit(listed, READS, async ({ instances }) => await instances.read(skip));
  if (all.size <= MANY || service === undefined) {
    const records = await read();
    const known = new Set(records.flat().map(({ instance }) => instance));
    return { records, answers: await answersOf(session, { service, known: [...known], waitMs: WAIT_MS }) };
  }
  const heard = new Set<string>();
  const [records, answers] = await Promise.all([
    read((instance) => heard.has(instance)),
    answersOf(session, {
      ...{ service, known: [...all], waitMs: WAIT_MS + all.size * WAIT_EACH_MS },
      onAnswer({ instance, services }) {
        if (services.some((one) => one.service === service)) heard.add(instance);
      },
    }),
  ]);
  return { records, answers };
}

async function desiredOf(
  session: Session,
  service: string,
): Promise<Pick<ServiceFleet, 'desired' | 'trouble' | 'pause'>> {
  const pause = await pauseOf(session, service);
  try {
    return { desired: (await session.record.desired.read(service))?.value, trouble: undefined, pause };
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'CONFIG_INVALID', 'KEY_INVALID')) throw error;
    return { desired: undefined, trouble: error.message, pause };
  }
}

/** Without a key to verify the pause, returns undefined with a warning, so that the rest of the status is shown. */
async function pauseOf(session: Session, service: string): Promise<Pause | undefined> {
  try {
    return await session.record.pauses.of(service);
  } catch (error) {
    if (!isCode(error, 'CONFIG_INVALID', 'KEY_INVALID')) throw error;
    const text = `cannot read whether ${service} is paused: ${error.message}`;
    note(session, text, 'warning');
    return undefined;
  }
}

/**
 * The answers to a roll call. If it fails, for example without the permission to publish to the topic, the result is
 * empty, with a warning, so that the recorded states are shown. @throws AWS_UNREACHABLE.
 */
async function answersOf(session: Session, asked: RollCall): Promise<RollCallAnswer[]> {
  try {
    return await callRoll(session, asked);
  } catch (error) {
    if (session.signal.aborted || isCode(error, 'AWS_UNREACHABLE', 'INTERNAL')) throw error;
    const text = `roll call failed; showing the last recorded state: ${messageOf(error)}`;
    note(session, text, 'warning');
    return [];
  }
}

/** Merges records and answers, if any were asked for: an answer replaces the record of its instance. `wanted` is the desired version. Pure. */
function merge(
  records: readonly InstanceRecord[],
  answers: readonly InstanceRecord[] | undefined,
  wanted: string | undefined,
): InstanceStatus[] {
  const by = new Map<string, InstanceRecord & Pick<InstanceStatus, 'answered'>>();
  for (const record of records) by.set(record.instance, { ...record, ...(answers && { answered: false }) });
  for (const answer of answers ?? []) by.set(answer.instance, { ...answer, answered: true });
  return [...by.values()]
    .map((one) => ({ ...one, drift: wanted !== undefined && one.version !== wanted }))
    .sort((a, b) => (a.instance < b.instance ? -1 : 1));
}
