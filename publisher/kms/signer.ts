import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Aws } from '../../shared/aws.ts';
import { regionOfArn } from '../../shared/aws-names.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { type DocumentType, publicKeyOf, type Signer } from '../../shared/signing.ts';
import { rawSignature } from './der-signature.ts';
import { type KmsPlace, kmsError, NEEDED } from './errors.ts';

/**
 * A signer whose private key is in KMS and never leaves it. Only publishers load this file: agents verify offline, with
 * the public key in a file. Each signed document is one call of `kms:Sign`.
 */

/** r and s of a P-256 signature, bytes each. */
const SIZE = 32;

export interface KmsKeyOptions {
  aws: Aws;
  env: string;
  region: string;
  /** The key, without `kms:`: `alias/NAME`, a key id, or the ARN of a key or an alias. */
  key: string;
  signal: AbortSignal;
}

export interface KmsSigner extends Signer {
  /** As agents have it in a file. */
  publicJwk: JWK & { kid: string };
  /** The ARN of the key itself, also when an alias was named. */
  arn: string;
}

/**
 * Reads the public key and checks that the key can sign with ES256. The signer then calls the key by its ARN: an alias
 * that is retargeted while the program runs changes nothing for it. It verifies each signature before it gives it out.
 * @throws KEY_INVALID when there is no such key, or one of another spec or usage; AWS_*.
 */
export async function openKmsSigner({ aws, env, region, key, signal }: KmsKeyOptions): Promise<KmsSigner> {
  const place: KmsPlace = { key, env, region: regionOfArn(key) || region };
  const client = aws.limited(new KMSClient({ ...aws.settings, region: place.region }), 'KMS');
  const { arn, publicKey } = await readPublicKey(client, place, signal);
  const jwk = publicKey.export({ format: 'jwk' }) as JWK;
  const kid = await calculateJwkThumbprint(jwk);
  const publicJwk = { ...jwk, kid, alg: 'ES256', use: 'sig' };

  async function sign(typ: DocumentType, payload: object): Promise<string> {
    const segment = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const signed = `${segment({ alg: 'ES256', kid, typ })}.${segment(payload)}`;
    const signature = await signatureOf(signed);
    // A signature that this key does not verify would be refused by every agent, after it was announced.
    const how = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', Buffer.from(signed), how, signature)) {
      throw new TriggerDeployError(
        'KEY_INVALID',
        `a signature of the KMS key ${key} does not verify with its public key (kid ${kid})`,
        { hint: `nothing was announced; compare with: aws kms get-public-key --key-id ${arn}` },
      );
    }
    return `${signed}.${signature.toString('base64url')}`;
  }

  async function signatureOf(text: string): Promise<Buffer> {
    const doing = `sign with kms:${key}`;
    const command = new SignCommand({
      KeyId: arn,
      Message: createHash('sha256').update(text).digest(),
      MessageType: 'DIGEST',
      SigningAlgorithm: 'ECDSA_SHA_256',
    });
    const { Signature } = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw kmsError(error, doing, place);
    });
    try {
      return rawSignature(Signature ?? new Uint8Array(), SIZE);
    } catch (cause) {
      throw new TriggerDeployError(
        'AWS_UNREACHABLE',
        `cannot ${doing}: the answer holds no ECDSA signature: ${messageOf(cause)}`,
        { cause, hint: 'check AWS_ENDPOINT_URL, and a proxy between here and AWS' },
      );
    }
  }

  return { kid, publicKey: await publicKeyOf(publicJwk, `kms:${key}`), publicJwk, arn, sign };
}

async function readPublicKey(
  client: KMSClient,
  place: KmsPlace,
  signal: AbortSignal,
): Promise<{ arn: string; publicKey: KeyObject }> {
  const { key } = place;
  const doing = `read the public key of kms:${key}`;
  const command = new GetPublicKeyCommand({ KeyId: key });
  const answer = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw kmsError(error, doing, place);
  });
  const { KeyId: arn, PublicKey, KeySpec, KeyUsage } = answer;
  if (KeySpec !== 'ECC_NIST_P256' || KeyUsage !== 'SIGN_VERIFY') {
    throw new TriggerDeployError(
      'KEY_INVALID',
      `the KMS key ${key} has the key spec ${KeySpec} and the key usage ${KeyUsage}`,
      { hint: NEEDED },
    );
  }
  try {
    if (arn === undefined || PublicKey === undefined) throw new Error('the answer is not an answer of KMS');
    const publicKey = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
    const curve = publicKey.asymmetricKeyDetails?.namedCurve;
    if (curve !== 'prime256v1') throw new Error(`a key of the curve ${curve}`);
    return { arn, publicKey };
  } catch (cause) {
    throw new TriggerDeployError('AWS_UNREACHABLE', `cannot ${doing}: ${messageOf(cause)}`, {
      cause,
      hint: 'check AWS_ENDPOINT_URL, and a proxy between here and AWS',
    });
  }
}
