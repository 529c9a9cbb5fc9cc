import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSigner } from '../../../shared/signing.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keys-'));
  await mkdir(join(directory, 'folder'));
});
afterAll(() => rm(directory, { recursive: true }));

const jwk = (change: object) => JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'a', d: 'b', ...change });

it.each([
  ['missing', undefined, /there is no such file/, /keygen creates a key pair/],
  ['folder', undefined, /it is a directory/, /name the key file in it/],
  ['folder.txt/key', undefined, /there is no such file/, /keygen/],
  ['empty', ' \n', /is empty/, /copy the key file again/],
  ['pem', '-----BEGIN PRIVATE KEY-----\nMC4=', /is a PEM file, not a JWK/, /JWK file/],
  ['locked', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4=', /is an encrypted PEM key/, /JWK file/],
  ['ssh', 'ssh-ed25519 AAAA ann@desk', /is a key of ssh/, /JWK file/],
  [
    'curve',
    jwk({ kty: 'EC', crv: 'secp256k1' }),
    /neither an Ed25519 nor a P-256 key, but EC secp256k1/,
    /keygen/,
  ],
] as const)('a key file that is %s says so, and what to do', async (name, text, message, hint) => {
  const path = join(directory, name);
  if (text !== undefined) await writeFile(path, text);
  await expect(loadSigner(path)).rejects.toMatchObject({
    code: 'KEY_INVALID',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});
