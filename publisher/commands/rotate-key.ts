import { isCode, messageOf } from '../../shared/errors.ts';
import { keys, newUlid, serviceName } from '../../shared/names.ts';
import { loadPublicKey } from '../../shared/signing.ts';
import { note } from '../events.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { SignedObject } from '../record/resign.ts';
import { fleetStatus } from '../rollout/fleet-status.ts';
import { refuseIfLost } from '../rollout/lost-desired.ts';
import { trustsKey } from '../rollout/trust-in-key.ts';
import type { Session } from '../session.ts';

/**
 * `trigger-deploy keygen --rotate`: the part of a rotation of the signing key that a program can do. It asks the instances
 * whether they trust the key, and signs again what is in force and was signed by another trusted key.
 */

export interface RotateOptions {
  /** Only look: nothing is signed. */
  check: boolean;
  /** The public key file of the key that is to come, for `check`; the signing key when left out. */
  to?: string | undefined;
  /** How many instances may not say that they trust the key. */
  allowMissing: number;
}

export interface RotationAnswer {
  type: 'rotation';
  env: string;
  /** The key that is to sign. */
  kid: string;
  check: boolean;
  /** Whether the key is one that does not sign yet (`to`). */
  ahead: boolean;
  instances: KeyHolder[];
  /** Whether enough instances trust the key. If not, nothing was signed. */
  ready: boolean;
  /** How many documents were signed again, and how many this key had signed already. */
  signed: number;
  current: number;
  /** The documents in force that another key signed. */
  left: { key: string; kid: string }[];
  troubles: { what: string; hint?: string | undefined }[];
}

export interface KeyHolder {
  instance: string;
  /** Undefined when the instance does not say which keys it trusts. */
  trusts: boolean | undefined;
  answered: boolean;
}

/** How many manifests are read and written at a time: each is one signature. */
const AT_A_TIME = 8;

/**
 * Signs nothing unless all instances but `allowMissing` trust the signing key. A document is verified before it is signed
 * again, and keeps its content; one that does not verify, or that another writer put back, is named and left as it is.
 * Records and desired states are written under the lock of their service. It may be stopped and repeated.
 * @throws CONFIG_INVALID, KEY_INVALID, AWS_*.
 */
export async function rotateKey(session: Session, options: RotateOptions): Promise<RotationAnswer> {
  const { check, to, allowMissing } = options;
  const kid = to === undefined ? (await session.signer()).kid : (await loadPublicKey(to)).kid;
  await session.verifier();
  const instances = await holders(session, kid);
  const ready = instances.filter(({ trusts }) => trusts !== true).length <= allowMissing;
  const answer: RotationAnswer = {
    ...{ type: 'rotation', env: session.env.name, kid, check, ahead: to !== undefined, instances, ready },
    ...{ signed: 0, current: 0, left: [], troubles: [] },
  };
  if (check) await walk(session, answer, looker(session, answer));
  else if (ready) await walk(session, answer, signAgain(session, answer));
  return answer;
}

/** Whether everything is as it must be before the next step of a rotation. Pure. */
export function isRotated({ ready, ahead, left, troubles }: RotationAnswer): boolean {
  return ready && (ahead || (left.length === 0 && troubles.length === 0));
}

/** The newest word of each instance. */
async function holders(session: Session, kid: string): Promise<KeyHolder[]> {
  const words = (await fleetStatus(session)).flatMap(({ instances }) => instances);
  const newest = new Map<string, (typeof words)[number]>();
  for (const word of words) {
    const before = newest.get(word.instance);
    const isNewer = before === undefined || Date.parse(word.at) > Date.parse(before.at);
    if (before?.answered !== true ? isNewer || word.answered : word.answered && isNewer) {
      newest.set(word.instance, word);
    }
  }
  return [...newest.values()]
    .map((one) => ({ instance: one.instance, trusts: trustsKey(one, kid), answered: one.answered === true }))
    .sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

/** What is done with the documents, and whether that changes them. */
interface Visit {
  changes: boolean;
  visit(object: SignedObject): Promise<void>;
}

function looker({ record: { resigner } }: Session, answer: RotationAnswer): Visit {
  return {
    changes: false,
    async visit(object) {
      const kid = await resigner.keyOf(object);
      if (kid === answer.kid) answer.current += 1;
      else if (kid !== undefined) answer.left.push({ key: object.key, kid });
    },
  };
}

function signAgain({ record: { resigner } }: Session, answer: RotationAnswer): Visit {
  return {
    changes: true,
    async visit(object) {
      const done = await resigner.resign(object);
      if (done !== 'missing') answer[done] += 1;
    },
  };
}

/** Visits the documents of all services, those of the environment last. */
async function walk(session: Session, answer: RotationAnswer, how: Visit): Promise<void> {
  const { deployments, objects, resigner } = session.record;
  const known = await deployments.services();
  const pushed = (await objects.folders(keys.versions())).filter(
    (name) => serviceName.safeParse(name).success,
  );
  const held = new Set<string>();
  for (const service of [...new Set([...known, ...pushed])].sort()) {
    session.signal.throwIfAborted();
    await attempt(answer, async () => {
      const versions = await session.record.versions.all(service);
      if (how.changes && versions.length > AT_A_TIME)
        note(session, `${service}: ${versions.length} versions`);
      await mapLimit(resigner.versions(service, versions), AT_A_TIME, (one) =>
        attempt(answer, () => how.visit(one)),
      );
    });
    if (known.includes(service))
      await attempt(answer, () => ofService(session, service, { answer, how, held }));
  }
  if (held.size > 0) return;
  await attempt(answer, () => how.visit(resigner.pause()));
}

/** @throws LOCKED while a deployment of the service is under way. */
async function ofService(
  session: Session,
  service: string,
  { answer, how, held }: { answer: RotationAnswer; how: Visit; held: Set<string> },
): Promise<void> {
  const { locks } = session.record;
  const deployment = newUlid(session.clock.now());
  const request = { service, command: 'keygen --rotate', deployment, signal: session.signal };
  const lock = how.changes ? await locks.take(request) : undefined;
  try {
    for (const object of await inForce(session, service, { answer, held })) {
      session.signal.throwIfAborted();
      lock?.lost.throwIfAborted();
      await attempt(answer, () => how.visit(object));
    }
  } finally {
    await lock?.release();
  }
}

/**
 * The record of a service that counts: the newest records with the decisions about what has not ended, the desired state,
 * the pause. Without a desired state or a pause that another writer put back to an older one: a new signature would give
 * it a new life.
 */
async function inForce(
  session: Session,
  service: string,
  { answer, held }: { answer: RotationAnswer; held: Set<string> },
): Promise<SignedObject[]> {
  const { deployments, desired, pauses, resigner } = session.record;
  const recent = (await deployments.recent(service)).map(({ value }) => value);
  for (const what of await deployments.unverified(service)) answer.troubles.push({ what });
  const open = recent.filter(({ status }) => status === 'announced' || status === 'timed-out');
  const found = [
    ...open.flatMap((one) => resigner.decisions(service, one.deployment)),
    ...recent.map((one) => resigner.deployment(service, one.deployment)),
  ];
  await attempt(answer, async () => {
    const current = (await desired.read(service))?.value;
    await refuseIfLost(session, current, recent, { service, ask: true });
    found.push(resigner.desired(service));
  });
  const pause = await pauses.of(service);
  if (pause?.left !== true) return [...found, resigner.pause(service)];
  if (pause.scope === 'environment') held.add(service);
  answer.troubles.push({
    what: `${service}: the document of the pause by ${pause.by} was deleted, or an older one was put back`,
    hint: `trigger-deploy unpause${pause.scope === 'service' ? ` ${service}` : ''} --env ${session.env.name}, or pause again`,
  });
  return found;
}

/** Notes what prevents one document, and goes on with the others. @throws what is not about the document or its service. */
async function attempt(answer: RotationAnswer, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const codes = ['SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'RECORD_DAMAGED', 'LOCKED', 'FENCED'] as const;
    if (!isCode(error, ...codes, 'CONDITION_FAILED')) throw error;
    answer.troubles.push({ what: messageOf(error), hint: error.hint });
  }
}
