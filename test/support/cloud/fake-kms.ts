import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { signDigest } from './ecdsa-digest.ts';
import { accessKeyOf, startStandIn } from './stand-in-server.ts';

/**
 * The signing of AWS KMS as far as a publisher speaks to it: the JSON 1.1 protocol (`TrentService.*`), asymmetric keys,
 * aliases, key states. It replaces KMS, which tests cannot have; the keys are real and made here. What it does follows the
 * AWS KMS API Reference (Sign, GetPublicKey, DescribeKey) and the Developer Guide, "Key states of AWS KMS keys": the
 * error of a wrong state, the order of its checks and its DER signatures.
 */
export interface FakeKms {
  /** What makes a program ask here. */
  readonly env: Record<string, string>;
  /** Every call so far. */
  readonly calls: KmsCall[];
  /** Makes a key; returns its id. */
  createKey(spec?: KeySpec, usage?: string): string;
  /** Makes the alias, or points it at another key. */
  setAlias(alias: string, keyId: string): void;
  setState(keyId: string, state: 'Enabled' | 'Disabled' | 'PendingDeletion'): void;
  /** Replaces the private key behind an id, as no AWS does: the public key that is given out stays. */
  swapPrivateKey(keyId: string): void;
  /** Answers the next calls of this operation with an error, `times` times. */
  fail(operation: string, error: { status: number; code: string }, times?: number): void;
  arnOf(keyId: string): string;
  stop(): Promise<void>;
}

export type KeySpec =
  | 'ECC_NIST_P256'
  | 'ECC_NIST_P384'
  | 'ECC_SECG_P256K1'
  | 'RSA_2048'
  | 'SYMMETRIC_DEFAULT';

export interface KmsCall {
  operation: string;
  /** As the caller named the key. */
  keyId: string;
  accessKey: string;
  /** Of `Sign`. */
  algorithm?: string;
  messageType?: string;
}

interface Key {
  id: string;
  spec: KeySpec;
  usage: string;
  state: string;
  pair: { publicKey: KeyObject; privateKey: KeyObject } | undefined;
}

interface Input {
  KeyId?: string;
  Message?: string;
  MessageType?: string;
  SigningAlgorithm?: string;
}

const ACCOUNT = '000000000000';
const REGION = 'eu-west-1';
const ALGORITHMS: Record<KeySpec, readonly string[]> = {
  ECC_NIST_P256: ['ECDSA_SHA_256'],
  ECC_NIST_P384: ['ECDSA_SHA_384'],
  ECC_SECG_P256K1: ['ECDSA_SHA_256'],
  RSA_2048: ['RSASSA_PSS_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_256'],
  SYMMETRIC_DEFAULT: [],
};

function pairOf(spec: KeySpec): Key['pair'] {
  if (spec === 'SYMMETRIC_DEFAULT') return undefined;
  if (spec === 'RSA_2048') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  const curves = { ECC_NIST_P256: 'prime256v1', ECC_NIST_P384: 'secp384r1', ECC_SECG_P256K1: 'secp256k1' };
  return generateKeyPairSync('ec', { namedCurve: curves[spec] });
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export async function startFakeKms(): Promise<FakeKms> {
  const keys = new Map<string, Key>();
  const aliases = new Map<string, string>();
  const failures = new Map<string, { status: number; code: string; times: number }>();
  const arnOf = (id: string) => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;

  function find(name = ''): Key {
    const local = name.startsWith('arn:') ? name.slice(name.lastIndexOf(':') + 1) : name;
    const id = local.startsWith('alias/') ? aliases.get(local) : local.replace(/^key\//, '');
    const key = keys.get(id ?? '');
    if (key) return key;
    const what = local.startsWith('alias/')
      ? `Alias arn:aws:kms:${REGION}:${ACCOUNT}:${local}`
      : `Key '${arnOf(local)}'`;
    throw new Refusal(
      'NotFoundException',
      `${what} ${local.startsWith('alias/') ? 'is not found.' : 'does not exist'}`,
    );
  }

  function usable(key: Key): Key {
    const arn = arnOf(key.id);
    if (key.state === 'Disabled') throw new Refusal('DisabledException', `${arn} is disabled.`);
    if (key.state !== 'Enabled') throw new Refusal('KMSInvalidStateException', `${arn} is pending deletion.`);
    return key;
  }

  function answer(operation: string, input: Input): object {
    const key = find(input.KeyId);
    switch (operation) {
      case 'DescribeKey':
        return {
          KeyMetadata: {
            KeyId: key.id,
            Arn: arnOf(key.id),
            KeyState: key.state,
            KeySpec: key.spec,
            KeyUsage: key.usage,
          },
        };
      case 'GetPublicKey': {
        const { pair } = usable(key);
        if (!pair) throw new Refusal('UnsupportedOperationException', `${arnOf(key.id)} is not asymmetric.`);
        const der = pair.publicKey.export({ format: 'der', type: 'spki' });
        const about = { KeySpec: key.spec, KeyUsage: key.usage, SigningAlgorithms: ALGORITHMS[key.spec] };
        return { KeyId: arnOf(key.id), PublicKey: der.toString('base64'), ...about };
      }
      case 'Sign': {
        const { pair } = usable(key);
        const { SigningAlgorithm = '', MessageType = 'RAW' } = input;
        const fits = key.usage === 'SIGN_VERIFY' && ALGORITHMS[key.spec].includes(SigningAlgorithm);
        // Of the keys that can sign, the fake signs with those of P-256 only.
        if (!fits || !pair || key.spec !== 'ECC_NIST_P256')
          throw new Refusal('InvalidKeyUsageException', `${arnOf(key.id)} cannot be used so.`);
        const message = Buffer.from(input.Message ?? '', 'base64');
        if (MessageType !== 'DIGEST' || message.length !== 32) {
          throw new Refusal('ValidationException', 'Digest is invalid length for algorithm ECDSA_SHA_256.');
        }
        const signature = signDigest(pair.privateKey, message);
        return { KeyId: arnOf(key.id), Signature: signature.toString('base64'), SigningAlgorithm };
      }
      default:
        throw new Refusal('UnknownOperationException', `the fake knows no ${operation}`);
    }
  }

  const server = await startStandIn((request, body, response) => {
    const operation = String(request.headers['x-amz-target']).replace(/^TrentService\./, '');
    const input = JSON.parse(body) as Input;
    const accessKey = accessKeyOf(request);
    kms.calls.push({
      ...{ operation, keyId: input.KeyId ?? '', accessKey },
      ...(input.SigningAlgorithm && { algorithm: input.SigningAlgorithm }),
      ...(input.MessageType && { messageType: input.MessageType }),
    });
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    try {
      const failure = failures.get(operation);
      if (failure && failure.times > 0) {
        failure.times -= 1;
        throw new Refusal(failure.code, 'as the test wants it', failure.status);
      }
      response.end(JSON.stringify(answer(operation, input)));
    } catch (error) {
      const { status, code, message } = error as Refusal;
      response
        .writeHead(status ?? 500)
        .end(JSON.stringify({ __type: code ?? 'KMSInternalException', message }));
    }
  });

  const kms: FakeKms = {
    env: { AWS_ENDPOINT_URL_KMS: server.endpoint },
    calls: [],
    createKey(
      spec = 'ECC_NIST_P256',
      usage = spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY',
    ) {
      const id = randomUUID();
      keys.set(id, { id, spec, usage, state: 'Enabled', pair: pairOf(spec) });
      return id;
    },
    setAlias: (alias, keyId) => void aliases.set(alias, keyId),
    setState(keyId, state) {
      find(keyId).state = state;
    },
    swapPrivateKey(keyId) {
      const key = find(keyId);
      const other = pairOf(key.spec);
      if (key.pair && other) key.pair = { publicKey: key.pair.publicKey, privateKey: other.privateKey };
    },
    fail: (operation, error, times = Number.POSITIVE_INFINITY) =>
      void failures.set(operation, { ...error, times }),
    arnOf,
    stop: server.stop,
  };
  return kms;
}
