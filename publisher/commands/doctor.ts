import { isCode } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { examineCaller, examineClock } from '../doctor/caller.ts';
import { collect, type DoctorFinding } from '../doctor/finding.ts';
import { examineAgents } from '../doctor/fleet.ts';
import { examineKey } from '../doctor/keys.ts';
import { examineWrites } from '../doctor/permissions.ts';
import { examineService } from '../doctor/service.ts';
import { examineSetup } from '../doctor/setup.ts';
import { examineSubscriptions } from '../doctor/subscriptions.ts';
import { rollCall } from '../messaging/roll-call.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

/** How long instances have to say what they run, ms. The wait ends once all known instances have answered. */
const ANSWER_MS = 2000;
/** How many services are read at a time. */
const READS = 8;

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
  /** Whether to set a lock right that another writer changed. */
  repair?: boolean | undefined;
}

/**
 * `trigger-deploy doctor [SERVICE]`: looks for what would make a deployment fail, or be lost: the credentials and what
 * they may do, the topic and the bucket, the subscription of each instance, the keys, the agents; and for each service what
 * the bucket holds about it. With `repair` it sets locks right; `init` sets topic and bucket right. Each finding says what
 * mends it.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID without a key to verify with, AWS_* where the record cannot be read.
 */
export async function doctor(session: Session, options: DoctorOptions): Promise<DoctorAnswer> {
  const { service: only, repair = false } = options;
  await session.verifier();
  const services = await servicesOf(session, only);
  const { deployments } = session.record;
  const known = await mapLimit(services, READS, (one) => deployments.instances(one));
  const names = [...new Set(known.flat().map(({ instance }) => instance))];
  const { answers, unasked } = await ask(session, only, names);
  const latest = latestOf(known.flat(), answers);
  const findings = [
    ...(await examineCaller(session)),
    ...(await collect(session, () => examineSetup(session))),
    ...(await collect(session, () => examineWrites(session))),
    ...(await collect(session, () => examineKey(session, latest))),
    ...(await collect(session, () => examineSubscriptions(session, names))),
    ...unasked,
    ...examineAgents(latest),
    examineClock(session),
  ];
  for (const [i, service] of services.entries()) {
    const fleet = answers.filter((one) => one.service === service);
    findings.push(...(await examineService(session, { service, known: known[i] ?? [], fleet, repair })));
  }
  return { type: 'doctor', env: session.env.name, service: only, findings };
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
    return { answers: [], unasked: [{ state, what, hint: error.hint }] };
  }
}

/** One entry for each instance and service: its answer, else its record. */
function latestOf(known: readonly InstanceRecord[], answers: readonly InstanceRecord[]): InstanceRecord[] {
  const keyOf = ({ instance, service }: InstanceRecord) => `${instance} ${service}`;
  return [...new Map([...known, ...answers].map((one) => [keyOf(one), one])).values()];
}
