import { open, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { JWK } from 'jose';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { generateKeys } from '../../shared/signing.ts';

export interface KeygenAnswer {
  kid: string;
  privateFile: string;
  publicFile: string;
}

/**
 * `trigger-deploy keygen`: writes a new pair, NAME.key.json and NAME.pub.json, into `out`.
 * @throws USAGE when NAME is invalid, or when one of the files cannot be written or exists already: a key is never
 * overwritten.
 */
export async function keygen(options: { out: string; name: string }): Promise<KeygenAnswer> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(options.name)) {
    throw new TriggerDeployError('USAGE', `${JSON.stringify(options.name)} cannot name a key file`, {
      hint: 'use letters, digits and . _ -, such as ci; --out names the directory',
    });
  }
  const { privateJwk, publicJwk } = await generateKeys();
  const privateFile = resolve(join(options.out, `${options.name}.key.json`));
  const publicFile = resolve(join(options.out, `${options.name}.pub.json`));
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
