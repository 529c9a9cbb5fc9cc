import type { Desired } from '../../shared/desired.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { note } from '../events.ts';
import { announceConverge } from '../messaging/announce.ts';
import { mapLimit } from '../record/map-limit.ts';
import { forAgents, type Pause, pauseText } from '../record/pauses.ts';
import { actorOf, type Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface PauseOptions {
  /** The service to pause or unpause; the whole environment when left out. */
  service?: string | undefined;
  reason?: string | undefined;
}

export interface PauseAnswer {
  type: 'pause';
  env: string;
  service: string | undefined;
  paused: boolean;
  /** False when the pause existed already, or when there was no pause to end. */
  changed: boolean;
  by: string;
  at: string;
  reason: string | undefined;
  /** The services whose agents were notified. */
  told: string[];
  /** The answer as a sentence. */
  text: string;
}

/** How many services' agents are notified at a time. */
const WRITES = 8;

/**
 * `trigger-deploy pause [SERVICE] --reason WHY`: blocks new deployments until unpaused. Publishers obey the signed
 * pause, and agents obey its copy in the desired state. If the command stops halfway, run it again to complete it.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID without a signing key, AWS_*.
 */
export async function pause(session: Session, options: PauseOptions): Promise<PauseAnswer> {
  return await change(session, options, true);
}

/** `trigger-deploy unpause [SERVICE]`: ends the pause; paused deployments continue. @throws as `pause`. */
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
  // The first read also sets the clock to AWS's time.
  const before = await pauses.at(service);
  if (service !== undefined && paused && before === undefined) await checkKnown(session, service);
  const at = new Date(session.clock.now()).toISOString();
  const by = session.who;
  const services = service === undefined ? await deployments.services() : [service];
  // A copy may stand although its document is missing.
  const isLeft =
    !paused && (await mapLimit(services, WRITES, (name) => pauses.of(name))).some((one) => one?.left);
  const changed = await pauses.write(
    service,
    { paused, by, at, ...(reason && { reason }), ...actorOf(session) },
    isLeft,
  );
  if (changed) session.emit({ type: 'pause', at: Date.parse(at), service, paused, reason });
  const now = await mapLimit(services, WRITES, async (name) => {
    const pause = await pauses.of(name);
    return { name, pause, told: await notifyAgents(session, name, forAgents(pause)) };
  });
  const told = now.filter((one) => one.told).map((one) => one.name);
  const still = paused ? undefined : now.find((one) => one.pause !== undefined);
  const words = changed ? changeText(session, service, paused) : unchangedText(session, service, before);
  const rest = still?.pause
    ? `, but ${pauseText(session.env.name, session.clock.now(), still.name, still.pause)}`
    : '';
  const text = `${words}${reason && changed ? `: ${reason}` : ''}${rest}`;
  return { type: 'pause', env: session.env.name, service, paused, changed, by, at, reason, told, text };
}

/**
 * A service may be paused before its first deployment, if a version of it was pushed or an instance has it in its
 * config.
 */
async function checkKnown(session: Session, service: string): Promise<void> {
  const there = await session.record.deployments.services();
  if (!there.includes(service)) await checkServiceExists(session, service);
}

/**
 * Copies the pause into the desired state and tells the agents. False when there is no desired state, when it has this
 * pause already, or (with a warning) when it cannot be verified or the agents cannot be told.
 */
async function notifyAgents(session: Session, service: string, pause: Desired['pause']): Promise<boolean> {
  try {
    if (!(await session.record.desired.pause(service, pause))) return false;
  } catch (error) {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    const text = `the agents of ${service} were not notified: ${messageOf(error)}`;
    note(session, text, 'warning');
    return false;
  }
  return await announceConverge(session, service);
}

const scopeText = (session: Session, service: string | undefined) =>
  service === undefined ? `all of ${session.env.name}` : `${service} in ${session.env.name}`;

const changeText = (session: Session, service: string | undefined, paused: boolean) =>
  `${scopeText(session, service)} is ${paused ? 'paused' : 'no longer paused'}`;

function unchangedText(session: Session, service: string | undefined, before: Pause | undefined): string {
  if (before === undefined) return `${scopeText(session, service)} was not paused`;
  return `unchanged: ${pauseText(session.env.name, session.clock.now(), service ?? '', before)}`;
}
