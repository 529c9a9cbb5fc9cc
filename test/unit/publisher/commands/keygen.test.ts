import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import * as z from 'zod';
import { keygen } from '../../../../publisher/commands/keygen.ts';
import { loadPublicKey, loadSigner, verifierOf } from '../../../../shared/signing.ts';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'keygen-'));
});
afterEach(async () => {
  await chmod(out, 0o700);
  await rm(out, { recursive: true });
});
const mode = async (path: string) => (await stat(path)).mode & 0o777;

it('writes a pair that signs and verifies; the private key has mode 600 under any umask', async () => {
  const umask = process.umask(0o077);
  const answer = await keygen({ out, name: 'ci' }).finally(() => process.umask(umask));
  expect(answer).toMatchObject({
    privateFile: join(out, 'ci.key.json'),
    publicFile: join(out, 'ci.pub.json'),
  });
  expect([await mode(answer.privateFile), await mode(answer.publicFile)]).toEqual([0o600, 0o644]);
  const signer = await loadSigner(answer.privateFile);
  const verifier = verifierOf([await loadPublicKey(answer.publicFile)]);
  expect(verifier.kids).toEqual([answer.kid]);
  const text = await signer.sign('td-manifest+jws', { hello: 1 });
  expect(await verifier.verify('td-manifest+jws', text, z.object({ hello: z.number() }))).toEqual({
    hello: 1,
  });
});

it('never overwrites a private or public key, and leaves no private key without its public key', async () => {
  await writeFile(join(out, 'a.key.json'), 'mine');
  await writeFile(join(out, 'b.pub.json'), 'mine');
  for (const name of ['a', 'b']) {
    await expect(keygen({ out, name })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('exists already, and a key is never overwritten'),
    });
  }
  expect((await readdir(out)).sort()).toEqual(['a.key.json', 'b.pub.json']);
  expect(await readFile(join(out, 'a.key.json'), 'utf8')).toBe('mine');
  expect(await readFile(join(out, 'b.pub.json'), 'utf8')).toBe('mine');
});

it('refuses a name that leaves its directory, and a directory that does not exist', async () => {
  await expect(keygen({ out, name: '../x' })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(keygen({ out: join(out, 'no'), name: 'ci' })).rejects.toMatchObject({
    code: 'USAGE',
    hint: '--out must name an existing directory that you can write to',
  });
});
