import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { loadPublicKey, loadSigner } from '../../shared/signing.ts';
import type { Look, Setting } from './setting.ts';

/** The pair of signing keys of an environment, as files. */

export interface KeyFiles {
  privateFile: string;
  publicFile: string;
}

export const keyFilesIn = (directory: string, env: string): KeyFiles => ({
  privateFile: resolve(join(directory, `${env}.key.json`)),
  publicFile: resolve(join(directory, `${env}.pub.json`)),
});

/**
 * Both files, made by `make` where there is none. A private key without its public key is what a `make` that was killed
 * left behind: the public key is a part of it.
 */
export function keySetting(files: KeyFiles, make: () => Promise<unknown>): Setting {
  const { privateFile, publicFile } = files;
  return {
    thing: `signing key ${privateFile}`,
    reads: '',
    writes: '',
    async look(): Promise<Look> {
      const [hasPrivate, hasPublic] = await Promise.all([isThere(privateFile), isThere(publicFile)]);
      if (!hasPrivate && !hasPublic) {
        const mend = async () => {
          await mkdir(resolve(privateFile, '..'), { recursive: true, mode: 0o700 });
          await make().catch(unlessMadeMeanwhile(files));
        };
        return { text: 'does not exist', wanted: 'created, with its public key', missing: true, mend };
      }
      if (!hasPrivate)
        return { text: 'does not exist', wrong: [`${publicFile} is there without its private key`] };
      // Throws for a private key that is no key.
      const { kid } = await loadSigner(privateFile);
      if (!hasPublic) {
        const mend = () => writePublic(files);
        return { text: 'its public key file is missing', wanted: `written to ${publicFile}`, mend };
      }
      const isPair = (await loadPublicKey(publicFile)).kid === kid;
      return isPair
        ? { text: `kid ${kid}, with ${publicFile}` }
        : { text: `kid ${kid}`, wrong: [`${publicFile} is not the public key of this private key`] };
    },
  };
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Two runs at the same time: the other one made the key, and no key is overwritten. */
const unlessMadeMeanwhile =
  ({ privateFile }: KeyFiles) =>
  async (error: unknown) => {
    if ((error as { cause?: NodeJS.ErrnoException }).cause?.code === 'EEXIST' && (await isThere(privateFile)))
      return;
    throw error;
  };

async function writePublic({ privateFile, publicFile }: KeyFiles): Promise<void> {
  const { d: _private, key_ops: _uses, ...jwk } = JSON.parse(await readFile(privateFile, 'utf8'));
  try {
    await using file = await open(publicFile, 'wx', 0o644);
    await file.writeFile(`${JSON.stringify(jwk, undefined, 2)}\n`);
    await file.sync();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new TriggerDeployError('USAGE', `cannot write ${publicFile}: ${messageOf(cause)}`, {
      cause,
      hint: '--keys must name a directory that you can write to',
    });
  }
}
