import { open, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { JWK } from 'jose';
import { isKmsKey, kmsKeyOf } from '../../shared/aws-names.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { generateKeys, loadPublicKey } from '../../shared/signing.ts';
import type { Session } from '../session.ts';

export interface KeygenAnswer {
  kid: string;
  /** The private key file; left out for a key of KMS, whose private key is in no file. */
  privateFile?: string;
  publicFile: string;
  /** The ARN of the key of KMS. */
  kmsKey?: string;
}

/** Where the files are written: NAME.key.json and NAME.pub.json in `out`. */
interface KeyFiles {
  out: string;
  name: string;
}

/**
 * `trigger-deploy keygen`: writes a new pair, NAME.key.json and NAME.pub.json, into `out`.
 * @throws USAGE when NAME is invalid, or when one of the files cannot be written or exists already: a key is never
 * overwritten.
 */
export async function keygen({ out, name }: KeyFiles): Promise<KeygenAnswer & { privateFile: string }> {
  checkName(name);
  const { privateJwk, publicJwk } = await generateKeys();
  const privateFile = resolve(join(out, `${name}.key.json`));
  const publicFile = resolve(join(out, `${name}.pub.json`));
  await writeNew(privateFile, privateJwk, 0o600);
  try {
    await writeNew(publicFile, publicJwk, 0o644);
  } catch (error) {
    // A private key alone would block the next attempt. It is safe to remove: this command created it (O_EXCL).
    await rm(privateFile);
    throw error;
  }
  return { kid: publicJwk.kid ?? '', privateFile, publicFile };
}

/**
 * `trigger-deploy keygen --kms KEY`: writes the public key of a key of KMS, NAME.pub.json, into `out`. It may be repeated:
 * a file that holds this key already stays as it is.
 * @throws USAGE as `keygen`; KEY_INVALID when the key cannot sign ES256; AWS_*.
 */
export async function keygenKms(
  { aws, env, signal }: Session,
  { out, name, kms }: KeyFiles & { kms: string },
): Promise<KeygenAnswer> {
  checkName(name);
  const key = kmsKeyOf(kms) ?? kms;
  if (!isKmsKey(key)) {
    throw new TriggerDeployError('USAGE', `${JSON.stringify(kms)} names no key of KMS`, {
      hint: 'use alias/NAME, a key id, or the ARN of a key or an alias',
    });
  }
  const { openKmsSigner } = await import('../kms/signer.ts');
  const { kid, publicJwk, arn } = await openKmsSigner({
    aws,
    env: env.name,
    region: env.region,
    key,
    signal,
  });
  const publicFile = resolve(join(out, `${name}.pub.json`));
  try {
    await writeNew(publicFile, publicJwk, 0o644);
  } catch (error) {
    const there = await loadPublicKey(publicFile).catch(() => undefined);
    if (there?.kid !== kid) throw error;
  }
  return { kid, publicFile, kmsKey: arn };
}

function checkName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return;
  throw new TriggerDeployError('USAGE', `${JSON.stringify(name)} cannot name a key file`, {
    hint: 'use letters, digits and . _ -, such as ci; --out names the directory',
  });
}

async function writeNew(path: string, jwk: JWK, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cannotWrite(path, cause);
    throw new TriggerDeployError('USAGE', `${path} exists already, and a key is never overwritten`, {
      cause,
      hint: 'choose another --name or --out; to rotate keys, let the instances trust both public keys for a while',
    });
  });
  try {
    // The umask may have removed bits from the mode that `open` was given.
    await file.chmod(mode);
    await file.writeFile(`${JSON.stringify(jwk, undefined, 2)}\n`);
    await file.sync();
  } catch (cause) {
    await rm(path, { force: true });
    throw cannotWrite(path, cause);
  } finally {
    await file.close();
  }
}

function cannotWrite(path: string, cause: unknown): TriggerDeployError {
  return new TriggerDeployError('USAGE', `cannot write ${path}: ${messageOf(cause)}`, {
    cause,
    hint: '--out must name an existing directory that you can write to',
  });
}
