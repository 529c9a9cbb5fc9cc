import type * as z from 'zod';
import { decision } from '../../shared/decision.ts';
import { desired } from '../../shared/desired.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { manifest } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import {
  type DocumentType,
  kidOf,
  LONGEST_DOCUMENT,
  type Signer,
  type Verifier,
} from '../../shared/signing.ts';
import type { ChangeList } from './changes.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import { deploymentDocument } from './deployment-schema.ts';
import { nonce, type Objects } from './objects.ts';
import { pauseDocument } from './pauses.ts';
import { verifyStored } from './signed-document.ts';

/**
 * Signs documents again, for the rotation of the signing key. Each is verified before, keeps its content, and is written
 * only if nobody has written it since: so this can be repeated, and stopped at any point.
 */

/** A signed document in the record. */
export interface SignedObject {
  key: string;
  typ: DocumentType;
  schema: z.ZodType<{ nonce: string }>;
  /** What the document must say of itself: a copy of another key is not signed again. */
  about: Readonly<Record<string, string | undefined>>;
  /** Called before it is written, with its new nonce. */
  before?: (nonce: string) => Promise<void>;
}

/** What there is of a document: its key id, verified. */
interface Found {
  kid: string;
  etag: string;
  value: { nonce: string };
}

export interface Resigner {
  /** The manifests of these versions. */
  versions(service: string, versions: readonly string[]): SignedObject[];
  deployment(service: string, id: string): SignedObject;
  decisions(service: string, id: string): SignedObject[];
  desired(service: string): SignedObject;
  /** The pause of the service; of the environment when left out. */
  pause(service?: string): SignedObject;
  /** The id of the key that signed it; undefined when there is no such document. @throws SIGNATURE_INVALID, DOCUMENT_INVALID. */
  keyOf(object: SignedObject): Promise<string | undefined>;
  /**
   * Signs it again, unless the signing key has signed it. `missing`: there is no such document.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID when it does not verify; CONDITION_FAILED when another publisher wrote it
   * again and again.
   */
  resign(object: SignedObject): Promise<'missing' | 'current' | 'signed'>;
}

export interface ResignContext {
  env: string;
  objects: Objects;
  changes: ChangeList;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
}

/** How often a write is tried. `pause` writes without a lock, and few people pause at the same moment. */
const ATTEMPTS = 5;

export function openResigner({ env, objects, changes, signer, verifier }: ResignContext): Resigner {
  async function read({ key, typ, schema, about }: SignedObject): Promise<Found | undefined> {
    const stored = await objects.read(key, LONGEST_DOCUMENT[typ]);
    if (stored === undefined) return undefined;
    const value = await verifyStored(await verifier(), typ, key, stored.text, schema);
    // The head of a deployment record says what it is about.
    const { head = value } = value as Record<string, unknown>;
    const wrong = Object.entries(about).find(
      ([name, wanted]) => (head as Record<string, unknown>)[name] !== wanted,
    );
    if (wrong !== undefined) {
      throw new TriggerDeployError('DOCUMENT_INVALID', `${key} is about another ${wrong[0]}`, {
        hint: 'this object was copied from another key: delete it, or restore its last version',
      });
    }
    return { kid: kidOf(typ, stored.text) ?? '', etag: stored.etag, value };
  }

  return {
    versions: (service, versions) =>
      versions.map((version) => ({
        ...{ key: keys.manifest(service, version), typ: 'td-manifest+jws', schema: manifest },
        about: { service, version },
      })),
    deployment: (service, deployment) => ({
      ...{ key: keys.deployment(env, service, deployment), typ: 'td-deployment+jws' },
      ...{ schema: deploymentDocument, about: { env, service, deployment } },
    }),
    decisions: (service, deployment) =>
      ['confirm', 'cancel'].map((kind) => ({
        ...{ key: keys.decision(env, service, deployment, kind), typ: 'td-decision+jws', schema: decision },
        about: { env, service, deployment, kind },
      })),
    desired: (service) => ({
      ...{ key: keys.desired(env, service), typ: 'td-desired+jws', schema: desired },
      about: { env, service },
      before: (fresh) => changes.add(service, fresh),
    }),
    pause: (service) => ({
      ...{ typ: 'td-pause+jws', schema: pauseDocument, about: { env, service } },
      key: service === undefined ? keys.pause(env) : keys.servicePause(env, service),
    }),
    keyOf: async (object) => (await read(object))?.kid,
    async resign(object) {
      const own = await signer();
      const { value } = await compareAndSwap<Found, 'missing' | 'current' | 'signed'>(objects, {
        key: object.key,
        attempts: ATTEMPTS,
        read: () => read(object),
        async next(found) {
          if (found === undefined) return { value: 'missing' };
          if (found.kid === own.kid) return { value: 'current' };
          const next = { ...found.value, nonce: nonce() };
          const body = await own.sign(object.typ, next);
          await object.before?.(next.nonce);
          return { body, value: 'signed' };
        },
      });
      return value;
    },
  };
}
