import { TriggerDeployError } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import { LONGEST_DOCUMENT, type Signer, type Verifier } from '../../shared/signing.ts';
import { digestOf, documentOf, recordOf } from './deployment-document.ts';
import { type DeploymentDocument, type DeploymentRecord, deploymentDocument } from './deployment-schema.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';
import { verifyStored } from './signed-document.ts';

/** Deployment records: each is verified when it is read, and signed when it is written. */

/** A record as it was read, with its ETag: a write replaces only this version of the record. */
export interface StoredDeployment extends StoredValue<DeploymentRecord> {
  /** The signed document that holds it. */
  document: DeploymentDocument;
}

export interface SignedDeployments {
  /** Signs and writes a new record. @throws CONDITION_FAILED when the id is taken. */
  create(record: DeploymentRecord): Promise<StoredDeployment>;
  /**
   * Signs and writes `stored` with `change`. The write can be repeated: the same change with the same `nonce` succeeds
   * again. What was ordered cannot change, except for the two limits of the policy that `resume` sets.
   * @throws CONDITION_FAILED when another publisher has written the record since it was read; RECORD_DAMAGED when
   * `change` changes what was ordered.
   */
  update(
    stored: StoredDeployment,
    change: Partial<{ [K in keyof DeploymentRecord]: DeploymentRecord[K] | undefined }> & { nonce?: string },
  ): Promise<StoredDeployment>;
  /** Reads and verifies the record. @throws DEPLOYMENT_NOT_FOUND, SIGNATURE_INVALID, DOCUMENT_INVALID. */
  read(service: string, id: string): Promise<StoredDeployment>;
  /** As `read`; RECORD_DAMAGED too, when what was ordered is not what this process read or wrote before. */
  readAgain(service: string, id: string): Promise<StoredDeployment>;
}

export interface SigningContext {
  env: string;
  objects: Objects;
  signer: () => Promise<Signer>;
  verifier: () => Promise<Verifier>;
}

export function openSignedDeployments({ env, objects, signer, verifier }: SigningContext): SignedDeployments {
  /** By id: the digest of the head that this process has read or written. */
  const heads = new Map<string, string>();
  /** The last text that was signed. A repeated write must be the same bytes, and not all algorithms repeat them. */
  let lastSigned: { nonce: string; text: string } | undefined;

  async function sign(document: DeploymentDocument): Promise<string> {
    if (lastSigned?.nonce === document.nonce) return lastSigned.text;
    const text = await (await signer()).sign('td-deployment+jws', document);
    if (text.length > LONGEST_DOCUMENT['td-deployment+jws']) throw tooLarge(document.head.deployment);
    lastSigned = { nonce: document.nonce, text };
    return text;
  }

  async function read(service: string, id: string): Promise<StoredDeployment> {
    const key = keys.deployment(env, service, id);
    const longest = LONGEST_DOCUMENT['td-deployment+jws'];
    const stored = await objects.read(key, longest);
    if (stored === undefined) throw notFound(env, id);
    const { text, ...rest } = stored;
    const document = await verifyStored(await verifier(), 'td-deployment+jws', key, text, deploymentDocument);
    const { head } = document;
    if (head.env !== env || head.service !== service || head.deployment !== id) {
      throw new TriggerDeployError(
        'DOCUMENT_INVALID',
        `${key} is the record of ${head.deployment} of ${head.service} in ${head.env}`,
        { hint: 'this object was copied from another key: delete it' },
      );
    }
    return { value: recordOf(document), document, ...rest };
  }

  async function readAgain(service: string, id: string): Promise<StoredDeployment> {
    const stored = await read(service, id);
    remember(stored.document);
    return stored;
  }

  /** @throws RECORD_DAMAGED when this process knows the deployment with another head. */
  function remember({ head }: DeploymentDocument): void {
    const digest = digestOf(head);
    if ((heads.get(head.deployment) ?? digest) !== digest) {
      throw new TriggerDeployError(
        'RECORD_DAMAGED',
        `another writer replaced the order of ${head.deployment}`,
      );
    }
    heads.set(head.deployment, digest);
  }

  return {
    read,
    readAgain,
    async create(record) {
      const document = documentOf(record);
      const key = keys.deployment(env, record.service, record.deployment);
      const etag = await objects.putNew(key, await sign(document));
      remember(document);
      return { value: recordOf(document), document, etag, lastModified: Date.parse(document.announcedAt) };
    },
    async update(stored, { nonce: id = nonce(), ...change }) {
      const next = { ...stored.value, ...change } as DeploymentRecord;
      const document = documentOf(next, stored.document, id);
      const key = keys.deployment(env, next.service, next.deployment);
      const etag = await objects.putIf(key, await sign(document), stored.etag);
      return { value: recordOf(document), document, etag, lastModified: stored.lastModified };
    },
  };
}

function tooLarge(id: string): TriggerDeployError {
  return new TriggerDeployError('USAGE', `the record of ${id} is too large`, {
    hint: 'select fewer instances with --only or --where',
  });
}

export function notFound(env: string, id: string): TriggerDeployError {
  return new TriggerDeployError('DEPLOYMENT_NOT_FOUND', `there is no deployment ${id} in ${env}`, {
    hint: 'trigger-deploy history SERVICE lists deployments; --env selects the environment',
  });
}
