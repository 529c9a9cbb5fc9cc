import { isCode } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { examineCaller, examineClock } from '../doctor/caller.ts';
import { examineConfigured } from '../doctor/configured.ts';
import { type Endpoints, examineEndpoints } from '../doctor/endpoints.ts';
import { collect, type DoctorFinding } from '../doctor/finding.ts';
import { examineAgents } from '../doctor/fleet.ts';
import { examineKey } from '../doctor/keys.ts';
import { examineOrphans } from '../doctor/orphans.ts';
import { examineWrites } from '../doctor/permissions.ts';
import { examineService } from '../doctor/service.ts';
import { examineSetup } from '../doctor/setup.ts';
import { examineSubscriptions } from '../doctor/subscriptions.ts';
import { note } from '../events.ts';
import { rollCall } from '../messaging/roll-call.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

/** How long instances have to say what they run, ms. The wait ends once all known instances have answered. */
const ANSWER_MS = 2000;
/** How many services are read at a time. */
const READS = 8;
/** Of so many services a person is told that it takes a while. */
const MANY = 20;

export interface DoctorAnswer {
  type: 'doctor';
  env: string;
  /** The service that was asked for; all when left out. */
  service?: string | undefined;
  findings: DoctorFinding[];
}

export interface DoctorOptions {
  /** All services when left out. */
  service?: string | undefined;
  /** Whether to set locks right that another writer changed, and to remove what dead publishers left. */
  repair?: boolean | undefined;
}

/** What the record and the instances say. */
interface Fleet {
  services: readonly string[];
  /** By the index of the service: the instances in the record. */
  known: readonly (readonly InstanceRecord[])[];
  answers: readonly InstanceRecord[];
}

/**
 * `trigger-deploy doctor [SERVICE]`: looks for what would make a deployment fail, or be lost: the services of AWS, the
 * credentials and what they may do, the topic and the bucket, the subscription of each instance, the keys, the agents; and
 * for each service what the bucket holds about it. With `repair` it sets locks right; `init` sets topic and bucket right.
 * Each finding says what mends it. What one service of AWS does not answer, or these credentials may not do, ends only the
 * looks that need it.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID without a key to verify with.
 */
export async function doctor(session: Session, options: DoctorOptions): Promise<DoctorAnswer> {
  const { service: only, repair = false } = options;
  const endpoints = await examineEndpoints(session);
  const { up } = endpoints;
  await session.verifier().catch((error: unknown) => {
    // A key of KMS that cannot be read has a finding of its own.
    if (!isCode(error) || isCode(error, 'CONFIG_INVALID')) throw error;
  });
  const look = async (can: boolean, id: string, probe: () => Promise<DoctorFinding[]>) =>
    can ? await collect(session, id, probe) : [];
  const read = await readFleet(session, only, endpoints);
  const { services, known, answers } = read.fleet;
  const latest = latestOf(known.flat(), answers);
  const instances = [...new Set(latest.map(({ instance }) => instance))];
  // Side by side: they ask different services.
  const parts = await Promise.all([
    look(up('STS'), 'caller', () => examineCaller(session)),
    look(up('SNS'), 'topic', () => examineSetup(session, 'topic')),
    look(up('S3'), 'bucket', () => examineSetup(session, 'bucket')),
    look(up('S3'), 'permission-write', () => examineWrites(session)),
    look(up('KMS'), 'signing-key', () => examineKey(session, latest)),
    look(up('SNS'), 'subscription', () => examineSubscriptions(session, instances)),
    look(true, 'config', () => examineConfigured(session, instances)),
    look(only === undefined && up('S3', 'SQS', 'SNS'), 'orphans', () => examineOrphans(session)),
  ]);
  const findings = [
    ...endpoints.findings,
    ...parts.flat(),
    ...read.findings,
    ...examineAgents(latest),
    examineClock(session),
  ];
  if (services.length > MANY) note(session, `looking at ${services.length} services`);
  const ofServices = await mapLimit([...services.entries()], READS, async ([i, service]) => {
    const fleet = answers.filter((one) => one.service === service);
    const about = { service, known: known[i] ?? [], fleet, repair };
    const found = await collect(session, 'record', () => examineService(session, about));
    return found.map((one) => ({ ...one, service }));
  });
  return {
    type: 'doctor',
    env: session.env.name,
    service: only,
    findings: [...findings, ...ofServices.flat()],
  };
}

/** The services, their instances, and what those answer; findings where the record cannot be read, or nobody asked. */
async function readFleet(
  session: Session,
  only: string | undefined,
  { up }: Endpoints,
): Promise<{ fleet: Fleet; findings: DoctorFinding[] }> {
  const nothing: Fleet = { services: [], known: [], answers: [] };
  if (!up('S3')) {
    const what = 'the record cannot be read: the services were not looked at';
    return {
      fleet: nothing,
      findings: [{ id: 'record', state: 'unknown', what, hint: 'see the finding about S3 or the bucket' }],
    };
  }
  let fleet = nothing;
  const findings = await collect(session, 'record', async () => {
    const services = await servicesOf(session, only);
    const known = await mapLimit(services, READS, (one) => session.record.deployments.instances(one));
    fleet = { services, known, answers: [] };
    if (!up('SNS', 'SQS', 'KMS')) return [];
    const names = [...new Set(known.flat().map(({ instance }) => instance))];
    const { answers, unasked } = await ask(session, only, names);
    fleet = { services, known, answers };
    return unasked;
  });
  return { fleet, findings };
}

async function servicesOf(session: Session, only: string | undefined): Promise<string[]> {
  const all = await session.record.deployments.services();
  if (only === undefined) return all;
  if (!all.includes(only)) await checkServiceExists(session, only);
  return [only];
}

/** The answers of the instances; none, with the reason, when they cannot be asked. */
async function ask(
  session: Session,
  service: string | undefined,
  known: readonly string[],
): Promise<{ answers: InstanceRecord[]; unasked: DoctorFinding[] }> {
  try {
    const answers = await rollCall(session, { service, known, waitMs: ANSWER_MS });
    return { answers: answers.flatMap(({ services }) => services), unasked: [] };
  } catch (error) {
    session.signal.throwIfAborted();
    if (!isCode(error)) throw error;
    const state = isCode(error, 'AWS_DENIED', 'CONFIG_INVALID', 'KEY_INVALID') ? 'unknown' : 'wrong';
    const what = `the instances cannot be asked: ${error.message}`;
    return { answers: [], unasked: [{ id: 'roll-call', state, what, hint: error.hint }] };
  }
}

/** One entry for each instance and service: its answer, else its record. */
function latestOf(known: readonly InstanceRecord[], answers: readonly InstanceRecord[]): InstanceRecord[] {
  const keyOf = ({ instance, service }: InstanceRecord) => `${instance} ${service}`;
  return [...new Map([...known, ...answers].map((one) => [keyOf(one), one])).values()];
}
