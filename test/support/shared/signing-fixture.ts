import { createPrivateKey, sign as nodeSign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll } from 'vitest';
import * as z from 'zod';
import { TriggerDeployError } from '../../../shared/errors.ts';
import {
  type DocumentType,
  generateKeys,
  loadPublicKey,
  loadSigner,
  type Signer,
  type Verifier,
  verifierOf,
} from '../../../shared/signing.ts';

export const TYPES: DocumentType[] = ['td-announcement+jws', 'td-manifest+jws', 'td-desired+jws'];
export const [ANNOUNCEMENT] = TYPES as [DocumentType];
export const schema = z.looseObject({ v: z.literal(1), service: z.string() });
export const PAYLOAD = { v: 1, service: 'payments', note: 'é' } as const;

export interface Party {
  signer: Signer;
  privateJwk: JWK;
  publicJwk: JWK;
  verifier: Verifier;
}

/** Set before the first test of a file that calls `generateParties`. */
export let directory: string;
export let ed: Party;
export let other: Party;
export let ec: Party;

export async function keyFile(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

export async function party(
  name: string,
  { privateJwk, publicJwk }: { privateJwk: JWK; publicJwk: JWK },
): Promise<Party> {
  const signer = await loadSigner(await keyFile(`${name}.key.json`, privateJwk));
  const publicKey = await loadPublicKey(await keyFile(`${name}.pub.json`, publicJwk));
  return { signer, privateJwk, publicJwk, verifier: verifierOf([publicKey]) };
}

async function generateEs256(): Promise<{ privateJwk: JWK; publicJwk: JWK }> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    privateJwk: { ...(await exportJWK(pair.privateKey)), kid },
    publicJwk: { ...publicJwk, kid },
  };
}

/** Has three key pairs made before the first test of the calling file; their files go after the last one. */
export function generateParties(): void {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'trigger-deploy-signing-'));
    ed = await party('ed', await generateKeys());
    other = await party('other', await generateKeys());
    ec = await party('ec', await generateEs256());
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });
}

export const encode = (value: string | Uint8Array | object) =>
  (typeof value === 'string'
    ? Buffer.from(value)
    : Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value))
  ).toString('base64url');

/** Any header and payload, signed by whatever means: what an honest signer never makes. */
export function forge(
  header: string | object,
  payload: string | Uint8Array | object,
  sign: (input: Buffer) => Uint8Array | string,
): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${encode(sign(Buffer.from(input)))}`;
}

export const byEd =
  (from: Party = ed) =>
  (input: Buffer) =>
    nodeSign(null, input, createPrivateKey({ key: from.privateJwk as never, format: 'jwk' }));
export const byEc = (input: Buffer) =>
  nodeSign('sha256', input, {
    key: createPrivateKey({ key: ec.privateJwk as never, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  });

/** What became of `text`: the payload, or the code of the refusal; anything else thrown is a bug. */
export async function outcome(
  verifier: Verifier,
  text: string,
  typ: DocumentType = ANNOUNCEMENT,
): Promise<unknown> {
  try {
    return await verifier.verify(typ, text, schema);
  } catch (error) {
    if (error instanceof TriggerDeployError) return error.code;
    throw error;
  }
}

export const header = (from: Party, more: object = {}) => ({
  alg: 'EdDSA',
  kid: from.signer.kid,
  typ: ANNOUNCEMENT,
  ...more,
});
