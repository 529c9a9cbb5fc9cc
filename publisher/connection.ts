import { type Aws, type AwsProgram, createAws } from '../shared/aws.ts';
import { kmsKeyOf } from '../shared/aws-names.ts';
import { type Clock, createClock } from '../shared/clock.ts';
import { TriggerDeployError } from '../shared/errors.ts';
import { loadPublicKey, loadSigner, type Signer, type Verifier, verifierOf } from '../shared/signing.ts';
import type { Environment } from './config/load.ts';

/**
 * What lives longer than one command in an environment: the clients of AWS with their credentials and open connections,
 * AWS's clock, and the keys, each of which is read once.
 */
export interface Connection {
  readonly env: Environment;
  readonly aws: Aws;
  readonly clock: Clock;
  /** The environment's signing key. @throws CONFIG_INVALID when there is none, KEY_INVALID, AWS_* (KMS). */
  signer(): Promise<Signer>;
  /**
   * The verifier. It trusts the keys of `trust` and the signing key's public key. For a signing key in KMS, its public
   * key is read when a document needs it, at once if `trust` is empty. @throws as `signer`.
   */
  verifier(): Promise<Verifier>;
  close(): void;
}

export interface ConnectionOptions extends Pick<AwsProgram, 'interruption' | 'onSlow'> {
  /** Ends the calls to KMS: the end of the process, or of the only command that uses the connection. */
  signal: AbortSignal;
}

/** Opens nothing yet: AWS is not called and no key is read until something needs it. */
export function openConnection(
  env: Environment,
  { signal, interruption, onSlow }: ConnectionOptions,
): Connection {
  const aws = createAws(env, { interruption, onSlow });
  const signer = once(() => loadSigningKey(env, aws, signal));
  return {
    ...{ env, aws, signer },
    clock: createClock(() => aws.now()),
    verifier: once(() => openVerifier(env, signer)),
    close: () => aws.close(),
  };
}

async function loadSigningKey(env: Environment, aws: Aws, signal: AbortSignal): Promise<Signer> {
  const { name, region, signingKey } = env;
  if (signingKey === undefined) {
    throw new TriggerDeployError('CONFIG_INVALID', `the environment ${name} has no signingKey`, {
      hint: `add signingKey under environments.${name}; trigger-deploy keygen creates a key pair`,
    });
  }
  const key = kmsKeyOf(signingKey);
  if (key === undefined) return await loadSigner(signingKey);
  // Loaded only here: the client of KMS costs a publisher with a key file nothing.
  const { openKmsSigner } = await import('./kms/signer.ts');
  return await openKmsSigner({ aws, env: name, region, key, signal });
}

async function openVerifier(env: Environment, signer: () => Promise<Signer>): Promise<Verifier> {
  const { name, signingKey } = env;
  const trusted = await Promise.all(env.trust.map(loadPublicKey));
  const own = async () => (await signer()).publicKey;
  if (signingKey === undefined && trusted.length === 0) {
    throw new TriggerDeployError(
      'CONFIG_INVALID',
      `the environment ${name} has no key to verify signatures with`,
      {
        hint: `add signingKey, or public key files as trust, under environments.${name}`,
      },
    );
  }
  if (signingKey === undefined) return verifierOf(trusted);
  if (kmsKeyOf(signingKey) === undefined) return verifierOf([await own(), ...trusted]);
  if (trusted.length === 0) await own();
  const { kmsVerifier } = await import('./kms/verifier.ts');
  return kmsVerifier(trusted, signingKey, own);
}

/** Calls `make` once and gives its promise to every caller. After a failure, the next call calls `make` again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
