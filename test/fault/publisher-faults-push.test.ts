import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { type Manifest, manifest as manifestSchema } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { BUCKET, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { tgz } from '../support/host/tarball.ts';
import type { Finished } from '../support/programs.ts';
import { withoutWaits } from '../support/publisher/events.ts';
import { proved } from '../support/reliability.ts';
import { type Killed, killedAt, startPublisher } from './support/publisher/publishers.ts';

/** Pushes that are killed at each of their writes, and pushes of one version at once. No agent is needed. */

/** Three parts, and a config file. */
const SIZE = 20 * 1024 * 1024;
const FILES = ['payments.tar.gz', 'application.yaml'];
/** Begin of the upload, three parts, its end, the config file, the manifest, the index. */
const WRITES = 8;
const POINTS = Array.from({ length: WRITES }, (_, index) => index + 1);

// On a machine that does much else, patience and no assertion.
vi.setConfig({ testTimeout: 240_000 });

/** An archive of about `bytes`: base64 of random bytes is compressed back to their number. */
const archiveOf = (bytes: number) => tgz([{ path: 'app', body: randomBytes(bytes).toString('base64') }]);

let fleet: Fleet;
const killed = new Map<number, Killed>();

beforeAll(async () => {
  fleet = await startFleet();
  await writeFile(join(fleet.publisherDir, 'payments.tar.gz'), archiveOf(SIZE));
  await writeFile(join(fleet.publisherDir, 'application.yaml'), 'port: 8080\n');
  await writeFile(join(fleet.publisherDir, 'other.tar.gz'), archiveOf(1000));
  await mapLimit(POINTS, 3, async (n) => void killed.set(n, await killedAt(fleet, n, pushing(n))));
}, 600_000);
afterAll(() => fleet?.stop());

const versionOf = (n: number) => `1.${n}.0`;
const pushing = (n: number) => ['push', 'payments', versionOf(n), ...FILES];

function stored(key: string): Buffer | undefined {
  return fleet.cloud.object(BUCKET, key)?.body;
}

/** What the version consists of, every byte of it there; undefined when there is no such version. */
function wholeVersion(version: string): Manifest | undefined {
  const jws = stored(keys.manifest('payments', version))?.toString('utf8');
  if (jws === undefined) return undefined;
  const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8');
  const manifest = manifestSchema.parse(JSON.parse(payload));
  for (const { sha256, name, size } of manifest.artifacts) {
    const bytes = stored(keys.artifact('payments', version, sha256, name));
    expect(bytes?.length, name).toBe(size);
    expect(
      createHash('sha256')
        .update(bytes ?? '')
        .digest('hex'),
      name,
    ).toBe(sha256);
  }
  return manifest;
}

const indexed = (): string[] => {
  const text = stored(keys.index('payments'))?.toString('utf8') ?? '{"pushes":[]}';
  return JSON.parse(text).pushes.map(({ version }: { version: string }) => version);
};

test.each(POINTS)(
  'killed at its write %i, a push leaves no version or a whole one, and the next completes it',
  async (n) => {
    const version = versionOf(n);
    expect(killed.get(n)?.lived).toBe(false);
    const left = wholeVersion(version);
    const { code, stdout, stderr } = await startPublisher(fleet, pushing(n)).finished;
    expect(code, stdout + stderr).toBe(0);
    const now = wholeVersion(version);
    expect(now?.artifacts.map(({ name }) => name).sort()).toEqual([...FILES].sort());
    // A version that was there stays the very one.
    if (left) expect(now).toEqual(left);
    expect(indexed()).toContain(version);
  },
);

test('a push was killed before its version was there, and after', () => {
  const dead = POINTS.map(
    (n) => killed.get(n)?.asked.map(({ operation, key }) => `${operation} ${key}`) ?? [],
  );
  const wroteManifest = dead.map((asked) => asked.some((one) => /^PutObject .*manifest\.jws$/.test(one)));
  expect(wroteManifest).toContain(true);
  expect(wroteManifest.filter((wrote) => !wrote).length).toBeGreaterThan(4);
  expect(dead.flat().filter((one) => one.startsWith('UploadPart')).length).toBeGreaterThan(0);
  proved('publisher-killed', `push: killed at ${WRITES} writes, three parts of an upload among them`);
});

test('a version whose push was killed before its manifest cannot be deployed, and the next push is named', async () => {
  const dead = await killedAt(fleet, 2, ['push', 'ledger', '1.0.0', ...FILES]);
  expect(dead.lived).toBe(false);
  const refused = withoutWaits(await startPublisher(fleet, ['ledger', '1.0.0']).finished);
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(refused.stderr).toMatch(/ledger[^\n]*\n {2}→ .*trigger-deploy push ledger 1\.0\.0/);
});

const changedOf = ({ stdout }: Finished): boolean =>
  JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}').changed;

test('of three pushes of one version with the same bytes at once all succeed, and one made it', async () => {
  const args = ['push', 'payments', '2.0.0', ...FILES, '--output', 'json'];
  const all = await Promise.all([1, 2, 3].map(() => startPublisher(fleet, args).finished));
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(all.map(changedOf).filter(Boolean)).toHaveLength(1);
  expect(wholeVersion('2.0.0')).toBeDefined();
  expect(indexed().filter((version) => version === '2.0.0')).toHaveLength(1);
  proved('two-publishers', 'three pushes of the same bytes at once: one version');
});

test('of two simultaneous pushes of one version with different bytes, one is refused with the owner of the version', async () => {
  const one = startPublisher(fleet, ['push', 'payments', '3.0.0', 'payments.tar.gz'], { who: 'nightly' });
  const two = startPublisher(fleet, ['push', 'payments', '3.0.0', 'other.tar.gz'], { who: 'release' });
  const [first, second] = await Promise.all([one.finished, two.finished]);
  expect([first.code, second.code].sort()).toEqual([0, 4]);
  const [winner, loser] = first.code === 0 ? ['nightly', second] : ['release', first];
  expect(loser.stderr).toContain(
    `payments 3.0.0 exists with different files: jenkins ${winner}#7 pushed it at `,
  );
  expect(loser.stderr).toContain('→ a version never changes');
  expect(wholeVersion('3.0.0')?.pushedBy).toBe(`jenkins ${winner}#7`);
  proved('two-publishers', 'two pushes of other bytes at once: one version, one refused');
});
