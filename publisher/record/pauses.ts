import * as z from 'zod';
import { verifiedPerson } from '../../shared/decision.ts';
import type { Desired } from '../../shared/desired.ts';
import { formatMs } from '../../shared/duration.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { envName, keys, serviceName } from '../../shared/names.ts';
import type { Signer, Verifier } from '../../shared/signing.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import { nonce, type Objects } from './objects.ts';
import { verifyStored } from './signed-document.ts';

/**
 * The pauses of an environment and of its services. Each has its own signed document, so that a service can be paused
 * before it has a desired state. `pause` also copies the pause into the desired state, where agents read it.
 */

const change = z.looseObject({
  paused: z.boolean(),
  by: z.string().max(256),
  /** The host of the console where it was done, and who the person is by a token. */
  via: z.string().max(255).optional(),
  verified: verifiedPerson.optional(),
  at: z.iso.datetime(),
  reason: z.string().max(1024).optional(),
});
/** One pause or unpause. */
export type PauseChange = z.infer<typeof change>;

/** Never deleted: the last change says whether the scope is paused, the changes before it are the history. */
export const pauseDocument = z.looseObject({
  v: z.literal(1),
  env: envName,
  service: serviceName.optional(),
  /** The newest last. */
  changes: z.array(change).min(1).max(100),
  nonce: z.string().max(64),
});
type PauseDocument = z.infer<typeof pauseDocument>;

/** How many changes a document keeps at most. */
const KEPT = 50;
/** Fewer where their texts are long, bytes: whoever reads the signed document takes 256 KiB, and signing adds a third. */
const LONGEST_CHANGES = 180 * 1024;

/** A pause that blocks deployments now. */
export interface Pause {
  scope: 'environment' | 'service';
  by: string;
  since: string;
  reason: string;
  /** The document cannot be verified, which counts as a pause. */
  unverified?: true;
  /** The document of the pause is missing, or an older one was put back: this is the copy in the desired state. */
  left?: true;
}

export interface Pauses {
  /**
   * The pause that blocks the service: that of the environment, else that of the service, else the copy of a pause in
   * the desired state that no unpause ended. A document that cannot be verified counts as a pause: a person who damages
   * or deletes the document, or puts an older one back, must not thereby unpause. A caller that reads the desired state
   * itself gives its copy.
   */
  of(service: string, copy?: Promise<Desired['pause']>): Promise<Pause | undefined>;
  /** The document of one scope, as `pauseOf` takes it: of `service`, or of the environment when `service` is undefined. */
  read(service: string | undefined): Promise<PauseFound | undefined>;
  /** The pause of one scope only: of `service`, or of the environment when `service` is undefined. */
  at(service: string | undefined): Promise<Pause | undefined>;
  /** The newest `KEPT` pauses and unpauses, the newest last; empty when the document cannot be verified. */
  changes(service: string | undefined): Promise<PauseChange[]>;
  /**
   * Signs and writes the change. Returns false when the scope is paused, or not paused, already. With `force` it is
   * written all the same: an unpause ends the copies of a pause whose document is missing.
   * @throws CONDITION_FAILED, AWS_*.
   */
  write(service: string | undefined, change: PauseChange, force?: boolean): Promise<boolean>;
}

interface PausesContext {
  env: string;
  objects: Objects;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
  /** The copy of a pause in the desired state of the service. */
  copyOf: (service: string) => Promise<Desired['pause']>;
}

/** How often a write is tried. Few people pause at the same moment. */
const ATTEMPTS = 5;

/** The document of one scope as it was read. */
export interface PauseFound {
  document: PauseDocument | undefined;
  /** Why the document cannot be trusted. */
  trouble: TriggerDeployError | undefined;
  etag: string;
  lastModified: number;
}

export function openPauses({ env, objects, signer, verifier, copyOf }: PausesContext): Pauses {
  const keyOf = (service: string | undefined) =>
    service === undefined ? keys.pause(env) : keys.servicePause(env, service);

  async function read(service: string | undefined): Promise<PauseFound | undefined> {
    const key = keyOf(service);
    const stored = await objects.read(key);
    if (stored === undefined) return undefined;
    const { text, etag, lastModified } = stored;
    try {
      const document = await verifyStored(await verifier(), 'td-pause+jws', key, text, pauseDocument);
      if (document.env === env && document.service === service) {
        return { document, trouble: undefined, etag, lastModified };
      }
      const whose = [document.service, document.env].filter(Boolean).join(' in ');
      const trouble = new TriggerDeployError('DOCUMENT_INVALID', `${key} is the pause of ${whose}`);
      return { document: undefined, trouble, etag, lastModified };
    } catch (error) {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
      return { document: undefined, trouble: error, etag, lastModified };
    }
  }

  return {
    read,
    at: async (service) => pauseIn(await read(service), service === undefined ? 'environment' : 'service'),
    async of(service, copying = copyOf(service)) {
      const [environment, own, copy] = await Promise.all([read(undefined), read(service), copying]);
      return pauseOf({ environment, own, copy });
    },
    changes: async (service) => (await read(service))?.document?.changes ?? [],
    async write(service, change, force = false) {
      const { value } = await compareAndSwap(objects, {
        key: keyOf(service),
        attempts: ATTEMPTS,
        read: () => read(service),
        async next(found) {
          const before = found?.document?.changes ?? [];
          const isPaused = before.at(-1)?.paused ?? found !== undefined;
          if (isPaused === change.paused && found?.trouble === undefined && !force) return { value: false };
          const changes = fitting([...before, change].slice(-KEPT));
          const after = pauseDocument.parse({ v: 1, env, service, changes, nonce: nonce() });
          return { body: await (await signer()).sign('td-pause+jws', after), value: true };
        },
      });
      return value;
    },
  };
}

/** The newest that fit. */
function fitting(changes: readonly PauseChange[]): PauseChange[] {
  let left = LONGEST_CHANGES;
  const first = changes.findLastIndex((one) => {
    left -= Buffer.byteLength(JSON.stringify(one)) + 1;
    return left < 0;
  });
  return changes.slice(first + 1);
}

/** The pause that one document says. Pure. */
export function pauseIn(found: PauseFound | undefined, scope: Pause['scope']): Pause | undefined {
  if (found === undefined) return undefined;
  if (found.trouble !== undefined) {
    const since = new Date(found.lastModified).toISOString();
    const reason = `the pause document cannot be verified, which counts as a pause: ${found.trouble.message}`;
    return { scope, by: 'unknown', since, reason, unverified: true };
  }
  const last = found.document?.changes.at(-1);
  if (!last?.paused) return undefined;
  return { scope, by: last.by, since: last.at, reason: last.reason ?? '' };
}

/** The pause that blocks a service, as `of` says: by the two documents, and the copy in its desired state. Pure. */
export function pauseOf({
  environment,
  own,
  copy,
}: {
  environment: PauseFound | undefined;
  own: PauseFound | undefined;
  copy: Desired['pause'];
}): Pause | undefined {
  const pause = pauseIn(environment, 'environment') ?? pauseIn(own, 'service');
  if (pause !== undefined || copy === undefined) return pause;
  const { by, since, reason, scope } = copy;
  const documents =
    scope === 'environment' ? [environment] : scope === 'service' ? [own] : [environment, own];
  const unpaused = documents.flatMap((found) => found?.document?.changes.at(-1)?.at ?? []);
  if (unpaused.some((at) => Date.parse(at) >= Date.parse(since))) return undefined;
  return { scope: scope ?? 'service', by, since, reason, left: true };
}

/** `payments is paused in prd by ann@host since …, 3 min ago: release freeze`. */
export function pauseText(
  env: string,
  now: number, // ms since the epoch
  service: string,
  { scope, by, since, reason, left }: Pause,
): string {
  const what = scope === 'environment' ? `all of ${env} is paused` : `${service} is paused in ${env}`;
  const ago = formatMs(Math.max(0, now - Date.parse(since)));
  const lost = left ? ' (the document of this pause was deleted, or an older one was put back)' : '';
  return `${what} by ${by} since ${since}, ${ago} ago: ${reason}${lost}`;
}

/** The pause in the form of the desired state, which allows 1024 characters for the reason. */
export const forAgents = (pause: Pause | undefined): Desired['pause'] =>
  pause && {
    by: pause.by.slice(0, 256),
    since: pause.since,
    reason: pause.reason.slice(0, 1024),
    scope: pause.scope,
  };
