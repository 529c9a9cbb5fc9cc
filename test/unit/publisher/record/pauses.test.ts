import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Objects } from '../../../../publisher/record/objects.ts';
import { openPauses } from '../../../../publisher/record/pauses.ts';
import { generateKeys, loadSigner, verifierOf } from '../../../../shared/signing.ts';

/** One object in memory. */
function oneObject(): Objects {
  let text: string | undefined;
  let version = 0;
  const write = async (_key: string, body: string) => {
    text = body;
    version += 1;
    return String(version);
  };
  const read = async () => text && { text, etag: String(version), lastModified: 0 };
  return { read, putNew: write, putIf: write } as unknown as Objects;
}

it('however long the texts of pauses are, the document stays one that can be read', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pauses-'));
  const key = join(directory, 'key.json');
  await writeFile(key, JSON.stringify((await generateKeys()).privateJwk));
  const signer = await loadSigner(key);
  await rm(directory, { recursive: true });
  const pauses = openPauses({
    ...{ env: 'dev', objects: oneObject(), copyOf: async () => undefined },
    ...{ signer: async () => signer, verifier: async () => verifierOf([signer.publicKey]) },
  });
  for (let n = 0; n < 40; n += 1) {
    const at = new Date(n * 1000).toISOString();
    // JSON writes each of these characters in six bytes.
    await pauses.write('payments', { paused: n % 2 === 0, by: 'ann', at, reason: '\u0001'.repeat(1024) });
  }
  const changes = await pauses.changes('payments');
  expect(changes.at(-1)).toMatchObject({ paused: false, at: '1970-01-01T00:00:39.000Z' });
  expect(changes.length).toBeGreaterThan(20);
  expect(await pauses.at('payments')).toBeUndefined();
});
