import type { Desired } from '../../shared/desired.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { note } from '../events.ts';
import { announceConverge } from '../messaging/announce.ts';
import { mapLimit } from '../record/map-limit.ts';
import { forAgents, type Pause, pauseText } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface PauseOptions {
  /** The whole environment when left out. */
  service?: string | undefined;
  reason?: string | undefined;
}

export interface PauseAnswer {
  type: 'pause';
  env: string;
  service: string | undefined;
  paused: boolean;
  /** False where it was so already. */
  changed: boolean;
  by: string;
  at: string;
  reason: string | undefined;
  /** The services whose agents were told. */
  told: string[];
  /** For a person. */
  text: string;
}

/** How many services are told at a time. */
const WRITES = 8;

/**
 * `trigger-deploy pause [SERVICE] --reason WHY`: nothing new is deployed until somebody unpauses. Publishers obey the
 * signed pause itself, agents the copy in the desired state. Repeating it mends what a dead publisher left half done.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID without a signing key, AWS_*.
 */
export async function pause(session: Session, options: PauseOptions): Promise<PauseAnswer> {
  return await change(session, options, true);
}

/** `trigger-deploy unpause [SERVICE]`: what was paused goes on. @throws as `pause`. */
export async function unpause(session: Session, options: PauseOptions): Promise<PauseAnswer> {
  return await change(session, options, false);
}

async function change(
  session: Session,
  { service, reason }: PauseOptions,
  paused: boolean,
): Promise<PauseAnswer> {
  const { pauses, deployments } = session.record;
  await session.signer();
  // The first reading also tells AWS's clock.
  const before = await pauses.at(service);
  if (service !== undefined && paused && before === undefined) await checkThere(session, service);
  const at = new Date(session.clock.now()).toISOString();
  const by = session.who;
  const changed = await pauses.write(service, { paused, by, at, ...(reason && { reason }) });
  if (changed) session.emit({ type: 'pause', at: Date.parse(at), service, paused, reason });
  const services = service === undefined ? await deployments.services() : [service];
  const now = await mapLimit(services, WRITES, async (name) => {
    const pause = await pauses.of(name);
    return { name, pause, told: await tellAgents(session, name, forAgents(pause)) };
  });
  const told = now.filter((one) => one.told).map((one) => one.name);
  const still = paused ? undefined : now.find((one) => one.pause !== undefined);
  const words = changed ? changeText(session, service, paused) : unchangedText(session, service, before);
  const rest = still?.pause
    ? `; still: ${pauseText(session.env.name, session.clock.now(), still.name, still.pause)}`
    : '';
  const text = `${words}${reason && changed ? `: ${reason}` : ''}${rest}`;
  return { type: 'pause', env: session.env.name, service, paused, changed, by, at, reason, told, text };
}

/** A service may be paused before its first deployment, if something of it was pushed or an instance waits for it. */
async function checkThere(session: Session, service: string): Promise<void> {
  const there = await session.record.deployments.services();
  if (!there.includes(service)) await checkServiceExists(session, service);
}

/** False where the agents have nothing to obey, or know already. */
async function tellAgents(session: Session, service: string, pause: Desired['pause']): Promise<boolean> {
  try {
    if (!(await session.record.desired.pause(service, pause))) return false;
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    const text = `the agents of ${service} were not told: ${messageOf(error)}`;
    note(session, text, 'warning');
    return false;
  }
  await announceConverge(session, service);
  return true;
}

const placeText = (session: Session, service: string | undefined) =>
  service === undefined ? `all of ${session.env.name}` : `${service} in ${session.env.name}`;

const changeText = (session: Session, service: string | undefined, paused: boolean) =>
  `${placeText(session, service)} is ${paused ? 'paused' : 'no longer paused'}`;

function unchangedText(session: Session, service: string | undefined, before: Pause | undefined): string {
  if (before === undefined) return `${placeText(session, service)} was not paused`;
  return `already so: ${pauseText(session.env.name, session.clock.now(), service ?? '', before)}`;
}
