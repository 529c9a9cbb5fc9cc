import { type Desired, desired } from '../../shared/desired.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import type { Signer, Verifier } from '../../shared/signing.ts';
import { begun } from './begun.ts';
import type { ChangeList } from './changes.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';
import { verifyStored } from './signed-document.ts';

/** The change of a desired state that a deployment makes. */
export interface DesiredChange {
  service: string;
  version: string;
  artifacts: Desired['artifacts'];
  action: Desired['action'];
  sequence: number;
  deployment: string;
  changedBy: string;
  /**
   * The version that the next `rollback` returns to; null for none. When left out, it is the desired version before this
   * change; for a rollback it is then not set, because the version that was rolled back must not become a rollback target.
   */
  previous?: string | null | undefined;
}

export interface DesiredStates {
  /**
   * Undefined when the service has no desired state. An invalid document is never treated as missing.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID.
   */
  read(service: string): Promise<StoredValue<Desired> | undefined>;
  /**
   * Signs and writes the desired state. If the same deployment has written it already, that counts as done. The
   * document carries the current pause, except for a rollback: an instance that misses the announcement of the
   * rollback must still converge on its version.
   * @throws FENCED when the stored sequence is higher: the sequence never decreases.
   */
  move(change: DesiredChange): Promise<Desired>;
  /**
   * Sets or removes the pause that agents obey. False when there is no desired state, or when it has this pause
   * already.
   */
  pause(service: string, pause: Desired['pause']): Promise<boolean>;
  /** Reads ahead what a later `move` needs, while there is nothing else to do. Never throws. */
  readAhead(): Promise<void>;
}

export interface DesiredContext {
  env: string;
  objects: Objects;
  changes: ChangeList;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
  /** The pause that the agents of the service must obey now. `copy`: that in its desired state. */
  pauseOf: (service: string, copy: Promise<Desired['pause']>) => Promise<Desired['pause']>;
  now: () => number; // ms since the epoch
}

/** How often a write is tried. Few writes conflict: only the holder of the lock and `pause` write this document. */
const ATTEMPTS = 5;

export function openDesiredStates(context: DesiredContext): DesiredStates {
  const { env, objects, changes } = context;

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
        { hint: 'this object was copied from another key: delete it, then deploy an explicit version' },
      );
    }
    return { value, ...rest };
  }

  /** Signs the document and names it in the list of changes: agents must find it there before it is written. */
  async function prepare(value: Desired): Promise<string> {
    const signer = await context.signer();
    const [body] = await Promise.all([
      signer.sign('td-desired+jws', value),
      changes.add(value.service, value.nonce),
    ]);
    return body;
  }

  return {
    read,
    readAhead: changes.readAhead,
    async pause(service, pause) {
      const { value } = await compareAndSwap(objects, {
        key: keys.desired(env, service),
        attempts: ATTEMPTS,
        read: () => read(service),
        async next(before) {
          if (before === undefined || samePause(before.value.pause, pause)) return { value: false };
          const { pause: _former, ...rest } = before.value;
          const after = desired.parse({ ...rest, ...(pause && { pause }), nonce: nonce() });
          return { body: await prepare(after), value: true };
        },
      });
      return value;
    },
    async move(change) {
      const { service } = change;
      let pausing: Promise<Desired['pause']> | undefined;
      const { value } = await compareAndSwap(objects, {
        key: keys.desired(env, service),
        attempts: ATTEMPTS,
        read() {
          const reading = read(service);
          const copy = begun(reading.then((stored) => stored?.value.pause));
          pausing = change.action === 'rollback' ? undefined : begun(context.pauseOf(service, copy));
          return reading;
        },
        async next(before) {
          if (before && before.value.sequence > change.sequence) throw fenced(change, before.value);
          if (before?.value.deployment === change.deployment) return { value: before.value };
          let pause = await pausing;
          // It may have been read before the desired state, from which an unpause took the copy in between.
          if (pause && before && !before.value.pause) {
            pause = await context.pauseOf(service, Promise.resolve(undefined));
          }
          const after = desired.parse({
            ...followUp(env, change, before?.value, context.now()),
            ...(pause && { pause }),
          });
          return { body: await prepare(after), value: after };
        },
      });
      return value;
    },
  };
}

/** Pure: the document that follows `before`. */
function followUp(env: string, change: DesiredChange, before: Desired | undefined, now: number): Desired {
  const replaced = before?.version === change.version ? before.previous : before?.version;
  const kept = change.action === 'rollback' ? undefined : replaced;
  const previous = change.previous === undefined ? kept : (change.previous ?? undefined);
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

function fenced(change: DesiredChange, stored: Desired): TriggerDeployError {
  return new TriggerDeployError(
    'FENCED',
    `the newer deployment ${stored.deployment} set the desired state of ${change.service} to ${stored.version} (sequence ${stored.sequence}; this deployment has ${change.sequence})`,
    { hint: `trigger-deploy show ${stored.deployment} --env ${stored.env}` },
  );
}
