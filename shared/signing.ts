import { readFile } from 'node:fs/promises';
import {
  CompactSign,
  type CryptoKey,
  calculateJwkThumbprint,
  compactVerify,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import * as z from 'zod';
import { messageOf, TriggerDeployError } from './errors.ts';

/**
 * The types of signed documents. Each document is a compact JWS (RFC 7515). Its `typ` is checked: one key can sign all
 * types, and no document is accepted as another type. `kid` selects the key, and the key determines the algorithm.
 */
export type DocumentType =
  | 'td-announcement+jws'
  | 'td-manifest+jws'
  | 'td-deployment+jws'
  | 'td-desired+jws'
  | 'td-decision+jws'
  | 'td-pause+jws';

/**
 * The largest signed document of each type, bytes: SNS and SQS take 256 KiB. A deployment record has a line for each of
 * 5,000 instances.
 */
export const LONGEST_DOCUMENT: Readonly<Record<DocumentType, number>> = {
  'td-announcement+jws': 256 * 1024,
  'td-manifest+jws': 256 * 1024,
  'td-deployment+jws': 4 * 1024 * 1024,
  'td-desired+jws': 256 * 1024,
  'td-decision+jws': 256 * 1024,
  'td-pause+jws': 256 * 1024,
};

export type Algorithm = 'EdDSA' | 'ES256';

export interface Signer {
  readonly kid: string;
  readonly publicKey: PublicKey;
  sign(typ: DocumentType, payload: object): Promise<string>;
}

export interface PublicKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly key: CryptoKey;
}

export interface Verifier {
  /** The ids of the trusted keys; empty when signatures are not checked. */
  readonly kids: readonly string[];
  /**
   * Returns the payload of `text`, parsed with `schema`.
   * @throws SIGNATURE_INVALID when `text` is not a canonical JWS of this `typ` that a trusted key signed;
   * DOCUMENT_INVALID when the payload does not fit the schema.
   */
  verify<T>(typ: DocumentType, text: string, schema: z.ZodType<T>): Promise<T>;
}

const header = z.object({
  alg: z.enum(['EdDSA', 'Ed25519', 'ES256']),
  kid: z.string().min(1).max(128),
  typ: z.string().min(1).max(64),
});

/** A new Ed25519 pair as JWKs; the kid is the RFC 7638 thumbprint of the public key. */
export async function generateKeys(): Promise<{ privateJwk: JWK; publicJwk: JWK }> {
  const pair = await generateKeyPair('Ed25519', { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const describe = { kid, alg: 'EdDSA', use: 'sig' } as const;
  return {
    privateJwk: { ...(await exportJWK(pair.privateKey)), ...describe },
    publicJwk: { ...publicJwk, ...describe },
  };
}

/** @throws KEY_INVALID, naming the file and what is wrong with it. */
export async function loadSigner(path: string): Promise<Signer> {
  const jwk = await readJwk(path);
  if (jwk.d === undefined) {
    throw new TriggerDeployError('KEY_INVALID', `${path} is a public key; signing needs the private key`, {
      hint: 'name the .key.json file that trigger-deploy keygen wrote, not the .pub.json',
    });
  }
  const alg = algorithmOf(jwk, path);
  // If the private and public parts do not belong together, this import fails here, and not later on every agent.
  const key = await importKey(jwk, alg, path);
  const { d: _private, key_ops: _uses, ...publicJwk } = jwk;
  const publicKey = await publicKeyOf(publicJwk, path);
  return {
    kid: publicKey.kid,
    publicKey,
    sign: (typ, payload) =>
      new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
        .setProtectedHeader({ alg, kid: publicKey.kid, typ })
        .sign(key),
  };
}

/** @throws KEY_INVALID, naming the file; also when the file holds a private key, because no agent should have one. */
export async function loadPublicKey(path: string): Promise<PublicKey> {
  const jwk = await readJwk(path);
  if (jwk.d !== undefined) {
    throw new TriggerDeployError('KEY_INVALID', `${path} holds a private key`, {
      hint: 'give instances the .pub.json file only, and replace this key pair: its private key was copied',
    });
  }
  return await publicKeyOf(jwk, path);
}

/** A verifier that accepts documents signed by any of `publicKeys`. */
export function verifierOf(publicKeys: readonly PublicKey[]): Verifier {
  const byKid = new Map(publicKeys.map((key) => [key.kid, key]));
  return {
    kids: [...byKid.keys()],
    async verify(typ, text, schema) {
      const { kid } = openHeader(typ, text);
      const key = byKid.get(kid);
      if (!key) throw new TriggerDeployError('SIGNATURE_INVALID', `signed by an unknown key (kid ${kid})`);
      try {
        const algorithms = key.alg === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [key.alg];
        const { payload } = await compactVerify(text, key.key, { algorithms });
        return parsePayload(payload, schema);
      } catch (cause) {
        if (cause instanceof TriggerDeployError) throw cause;
        throw new TriggerDeployError('SIGNATURE_INVALID', `the signature is invalid: ${messageOf(cause)}`, {
          cause,
        });
      }
    },
  };
}

/** The id of the key that `text` says it is signed by; undefined when it is no signed document. Nothing is verified. */
export function kidOf(typ: DocumentType, text: string): string | undefined {
  try {
    return openHeader(typ, text.trim()).kid;
  } catch {
    return undefined;
  }
}

/** The verifier for `trust: none`: it checks the form and the `typ`, but not the signature. */
export function trustNone(): Verifier {
  return {
    kids: [],
    async verify(typ, text, schema) {
      const { payload } = openHeader(typ, text);
      return parsePayload(payload, schema);
    },
  };
}

/**
 * Splits a compact JWS and makes the checks that need no key. It refuses base64url that is not canonical: otherwise
 * several texts would be the same document.
 */
function openHeader(typ: DocumentType, text: string): { kid: string; payload: Uint8Array } {
  const refuse = (why: string, cause?: unknown) =>
    new TriggerDeployError('SIGNATURE_INVALID', `not a signed document: ${why}`, { cause });
  const longest = LONGEST_DOCUMENT[typ];
  if (text.length > longest) throw refuse(`longer than ${longest} bytes`);
  const segments = text.split('.');
  if (segments.length !== 3) throw refuse('not three segments');
  const [head = '', body = '', signature = ''] = segments;
  for (const segment of segments) {
    if (Buffer.from(segment, 'base64url').toString('base64url') !== segment) {
      throw refuse('not canonical base64url');
    }
  }
  if (signature === '') throw refuse('no signature');
  let parsed: z.infer<typeof header>;
  try {
    parsed = header.parse(JSON.parse(Buffer.from(head, 'base64url').toString('utf8')));
  } catch (cause) {
    throw refuse('the header is not alg, kid and typ', cause);
  }
  if (parsed.typ !== typ) throw refuse(`its type is ${parsed.typ}, expected ${typ}`);
  return { kid: parsed.kid, payload: Buffer.from(body, 'base64url') };
}

function parsePayload<T>(payload: Uint8Array, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw new TriggerDeployError('DOCUMENT_INVALID', 'the payload is not JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  throw new TriggerDeployError(
    'DOCUMENT_INVALID',
    `the payload is not valid: ${first?.path.join('.') || '(top)'}: ${first?.message ?? 'invalid'}`,
    { cause: parsed.error },
  );
}

const jwkFile = z.looseObject({ kty: z.string(), kid: header.shape.kid.optional() });

async function readJwk(path: string): Promise<JWK> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    const { what, hint } = UNREADABLE[code] ?? {
      what: messageOf(cause),
      hint: 'look at the file and its disk',
    };
    throw new TriggerDeployError('KEY_INVALID', `cannot read the key ${path}: ${what}`, { cause, hint });
  }
  try {
    return jwkFile.parse(JSON.parse(text)) as JWK;
  } catch (cause) {
    const { what, hint } = notJwk(text);
    throw new TriggerDeployError('KEY_INVALID', `${path} ${what}`, { cause, hint });
  }
}

const NOT_PERMITTED = {
  what: 'permission denied',
  hint: 'let this user read the file and its directories, or run as its owner',
};
/** Why a file cannot be read, by its system code, and what to do. Only a file that is not there needs a new key. */
const UNREADABLE: Readonly<Record<string, { what: string; hint: string }>> = {
  ENOENT: {
    what: 'there is no such file',
    hint: 'correct the path; trigger-deploy keygen creates a key pair',
  },
  ENOTDIR: { what: 'a part of the path is no directory', hint: 'correct the path' },
  EISDIR: { what: 'it is a directory', hint: 'name the key file in it' },
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  ELOOP: { what: 'too many symbolic links', hint: 'correct the links' },
};

/** What a file is that is no JWK. */
function notJwk(text: string): { what: string; hint: string } {
  const hint = 'use a JWK file (RFC 7517), as trigger-deploy keygen writes it';
  if (text.trim() === '') return { what: 'is empty', hint: 'copy the key file again' };
  if (/-----BEGIN (ENCRYPTED PRIVATE KEY|[A-Z ]+-----\s+Proc-Type: 4,ENCRYPTED)/.test(text)) {
    return { what: 'is an encrypted PEM key, which is not supported', hint };
  }
  if (text.includes('-----BEGIN ')) return { what: 'is a PEM file, not a JWK', hint };
  if (/^\s*(ssh-|ecdsa-)/.test(text)) return { what: 'is a key of ssh, not a JWK', hint };
  return { what: 'is not a JWK (RFC 7517)', hint };
}

function algorithmOf(jwk: JWK, path: string): Algorithm {
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return 'EdDSA';
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') return 'ES256';
  const kind = [jwk.kty, jwk.crv].filter(Boolean).join(' ');
  throw new TriggerDeployError('KEY_INVALID', `${path} is neither an Ed25519 nor a P-256 key, but ${kind}`, {
    hint: 'trigger-deploy keygen creates an Ed25519 pair',
  });
}

/** `path`: where the key is from, for errors. @throws KEY_INVALID. */
export async function publicKeyOf(jwk: JWK, path: string): Promise<PublicKey> {
  const alg = algorithmOf(jwk, path);
  const key = await importKey(jwk, alg, path);
  return { kid: jwk.kid ?? (await calculateJwkThumbprint(jwk)), alg, key };
}

async function importKey(jwk: JWK, alg: Algorithm, path: string): Promise<CryptoKey> {
  try {
    const key = await importJWK(jwk, alg);
    if (key instanceof Uint8Array) throw new Error('a symmetric key');
    return key;
  } catch (cause) {
    throw new TriggerDeployError('KEY_INVALID', `${path} is not a usable key: ${messageOf(cause)}`, {
      cause,
    });
  }
}
