import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keygen } from '../../../../publisher/commands/keygen.ts';
import { keyFilesIn, keySetting } from '../../../../publisher/setup/key-setting.ts';
import { examine, keepRight } from '../../../../publisher/setup/setting.ts';
import { loadPublicKey, loadSigner } from '../../../../shared/signing.ts';

let home: string;
let directory: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'keys-'));
  directory = join(home, 'new/keys');
});
afterEach(() => rm(home, { recursive: true }));

const { signal } = new AbortController();
const setting = () => keySetting(keyFilesIn(directory, 'dev'), () => keygen({ out: directory, name: 'dev' }));
const states = async () => (await keepRight(setting(), signal)).map(({ state }) => state);

test('a pair is made where there is none, in a directory that only its owner can read', async () => {
  expect(await states()).toEqual(['created']);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  const { privateFile, publicFile } = keyFilesIn(directory, 'dev');
  expect((await stat(privateFile)).mode & 0o777).toBe(0o600);
  expect((await loadPublicKey(publicFile)).kid).toBe((await loadSigner(privateFile)).kid);
});

test('a pair that is there stays', async () => {
  await states();
  const { privateFile } = keyFilesIn(directory, 'dev');
  const before = await readFile(privateFile, 'utf8');
  expect(await states()).toEqual(['ok']);
  expect(await readFile(privateFile, 'utf8')).toBe(before);
});

test('killed between the two files: the public key is made of the private one', async () => {
  await states();
  const { privateFile, publicFile } = keyFilesIn(directory, 'dev');
  const before = await readFile(publicFile, 'utf8');
  await rm(publicFile);
  expect((await examine(setting(), signal)).map(({ state }) => state)).toEqual(['differs']);
  expect(await states()).toEqual(['changed']);
  const made = JSON.parse(await readFile(publicFile, 'utf8'));
  expect(made).toEqual(JSON.parse(before));
  expect(Object.keys(made)).not.toContain('d');
  expect(await loadSigner(privateFile)).toMatchObject({ kid: made.kid });
});

test('two runs at once make one pair', async () => {
  const both = await Promise.all([keepRight(setting(), signal), keepRight(setting(), signal)]);
  expect(both.flat().filter(({ state }) => state === 'failed')).toEqual([]);
  expect(await states()).toEqual(['ok']);
});

test('a public key alone, and one of another pair, are said and not touched', async () => {
  await states();
  const { privateFile, publicFile } = keyFilesIn(directory, 'dev');
  await keygen({ out: directory, name: 'other' });
  await writeFile(publicFile, await readFile(join(directory, 'other.pub.json')));
  expect((await keepRight(setting(), signal)).map(({ state, text }) => `${state} ${text}`)[1]).toBe(
    `wrong ${publicFile} is not the public key of this private key`,
  );
  await rm(privateFile);
  expect((await keepRight(setting(), signal)).map(({ state, text }) => `${state} ${text}`)[1]).toBe(
    `wrong ${publicFile} is there without its private key`,
  );
});

test('a private key that is no key is a failure with its reason', async () => {
  await states();
  await writeFile(keyFilesIn(directory, 'dev').privateFile, '');
  expect(await keepRight(setting(), signal)).toMatchObject([
    { state: 'failed', hint: 'copy the key file again' },
  ]);
});
