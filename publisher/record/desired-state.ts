import { type Desired, desired } from '../../shared/desired.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import type { Signer, Verifier } from '../../shared/signing.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';
import { verifyStored } from './signed-document.ts';

/** What a deployment wants the desired state to say. */
export interface DesiredChange {
  service: string;
  version: string;
  artifacts: Desired['artifacts'];
  action: Desired['action'];
  sequence: number;
  deployment: string;
  changedBy: string;
  /**
   * Where a later `rollback` goes; when left out, the version the desired state said before. A rollback
   * names what preceded its target: what it left is not a place to go back to.
   */
  previous?: string | undefined;
}

export interface DesiredStates {
  /** Undefined when there is none. @throws SIGNATURE_INVALID, DOCUMENT_INVALID: never taken for "none". */
  read(service: string): Promise<StoredValue<Desired> | undefined>;
  /**
   * Signs and writes it. The sequence never goes back: a write that finds a higher one is FENCED; one that
   * finds itself already there is done. It carries the pause of the moment, but for a rollback: whoever misses its
   * announcement has to come to it all the same.
   */
  move(change: DesiredChange): Promise<Desired>;
  /** Tells the agents of a pause, or of its end; the rest stays. False where there is nothing to pause, or it is so. */
  pause(service: string, pause: Desired['pause']): Promise<boolean>;
}

export interface DesiredContext {
  env: string;
  objects: Objects;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
  /** What the agents of the service have to obey now. */
  pauseOf: (service: string) => Promise<Desired['pause']>;
  now: () => number; // ms since the epoch
}

/** Two writers that both hold the lock one after the other meet at most a few times. */
const ATTEMPTS = 5;

export function openDesiredStates(context: DesiredContext): DesiredStates {
  const { env, objects } = context;

  async function read(service: string): Promise<StoredValue<Desired> | undefined> {
    const key = keys.desired(env, service);
    const stored = await objects.read(key);
    if (stored === undefined) return undefined;
    const { text, ...rest } = stored;
    const value = await verifyStored(await context.verifier(), 'td-desired+jws', key, text, desired);
    if (value.env !== env || value.service !== service) {
      throw new TriggerDeployError(
        'DOCUMENT_INVALID',
        `${key} is the desired state of ${value.service} in ${value.env}`,
        { hint: 'someone has copied it there; deploy with an explicit version after removing it' },
      );
    }
    return { value, ...rest };
  }

  async function write(change: DesiredChange, before: StoredValue<Desired> | undefined): Promise<Desired> {
    const signer = await context.signer();
    const pause = change.action === 'rollback' ? undefined : await context.pauseOf(change.service);
    const value = desired.parse({
      ...next(env, change, before?.value, context.now()),
      ...(pause && { pause }),
    });
    const text = await signer.sign('td-desired+jws', value);
    const key = keys.desired(env, change.service);
    await (before ? objects.putIf(key, text, before.etag) : objects.putNew(key, text));
    return value;
  }

  async function setPause(service: string, pause: Desired['pause']): Promise<boolean> {
    const before = await read(service);
    if (before === undefined || samePause(before.value.pause, pause)) return false;
    const { pause: _former, ...rest } = before.value;
    const value = desired.parse({ ...rest, ...(pause && { pause }), nonce: nonce() });
    const text = await (await context.signer()).sign('td-desired+jws', value);
    await objects.putIf(keys.desired(env, service), text, before.etag);
    return true;
  }

  return {
    read,
    async pause(service, pause) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await setPause(service, pause);
        } catch (error) {
          if (!isCode(error, 'CONDITION_FAILED') || attempt === ATTEMPTS) throw error;
        }
      }
    },
    async move(change) {
      for (let attempt = 1; ; attempt += 1) {
        const before = await read(change.service);
        if (before && before.value.sequence > change.sequence) throw overtaken(change, before.value);
        if (before?.value.deployment === change.deployment) return before.value;
        try {
          return await write(change, before);
        } catch (error) {
          if (!isCode(error, 'CONDITION_FAILED') || attempt === ATTEMPTS) throw error;
        }
      }
    },
  };
}

/** Pure: the document that follows `before`. */
function next(env: string, change: DesiredChange, before: Desired | undefined, now: number): Desired {
  const replaced = before?.version === change.version ? before.previous : before?.version;
  const previous = change.previous ?? (change.action === 'rollback' ? undefined : replaced);
  return {
    v: 1,
    env,
    service: change.service,
    version: change.version,
    sequence: change.sequence,
    deployment: change.deployment,
    action: change.action,
    artifacts: change.artifacts,
    changedAt: new Date(now).toISOString(),
    changedBy: change.changedBy,
    ...(previous === undefined ? {} : { previous }),
    nonce: nonce(),
  };
}

const samePause = (a: Desired['pause'], b: Desired['pause']) =>
  a?.by === b?.by && a?.since === b?.since && a?.reason === b?.reason;

function overtaken(change: DesiredChange, stored: Desired): TriggerDeployError {
  return new TriggerDeployError(
    'FENCED',
    `the desired state of ${change.service} is ${stored.version} by the newer deployment ${stored.deployment} (sequence ${stored.sequence}, this one has ${change.sequence})`,
    { hint: `trigger-deploy show ${stored.deployment}` },
  );
}
