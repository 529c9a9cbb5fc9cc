import { randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type DownloadRequest, downloadArtifact } from '../../../../../agent/host/releases/download.ts';
import { TriggerDeployError } from '../../../../../shared/errors.ts';
import type { Artifact } from '../../../../../shared/manifest.ts';
import { calm } from '../../../../support/host/clock.ts';
import { broken, inChunks, memoryStore } from '../../../../support/host/store.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

const FAST = { backoff: { first: 1, longest: 2 }, stallMs: 1000, leastBytes: 10 };
const RANGED = { ...FAST, large: 1000, range: 100_000, lanes: 4 };

async function downloading(size: number) {
  const store = memoryStore();
  const bytes = randomBytes(size);
  const artifact = store.put('payments.jar', bytes);
  const path = join(await temporaryDirectory(), 'file');
  const download = (more: Partial<DownloadRequest> & { artifact?: Artifact } = {}) =>
    downloadArtifact({
      store,
      service: 'payments',
      version: '1.4.2',
      artifact,
      path,
      note: () => {},
      signal: calm,
      tuning: FAST,
      ...more,
    });
  return { store, bytes, artifact, path, download };
}

test('an artifact is downloaded in one read, private, with the signed bytes', async () => {
  const { download, store, path, bytes } = await downloading(500_000);
  expect(await download()).toBe(500_000);
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(store.reads).toEqual([{ name: 'payments.jar', start: 0, end: 500_000 }]);
});

test('an empty artifact needs no read', async () => {
  const { download, store } = await downloading(0);
  expect(await download()).toBe(0);
  expect(store.reads).toEqual([]);
});

test('an interrupted download is resumed where it stopped', async () => {
  const { download, store, path, bytes } = await downloading(500_000);
  store.fault = (right, _request, n) => (n < 20 ? broken(right.subarray(0, 20_000)) : undefined);
  expect(await download()).toBe(500_000);
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(store.reads.slice(0, 3).map(({ start }) => start)).toEqual([0, 20_000, 40_000]);
});

test('transient errors are retried, up to five in a row without progress', async () => {
  const { download, store } = await downloading(1000);
  store.fault = () => new TriggerDeployError('DOWNLOAD_FAILED', 'S3 said SlowDown');
  await expect(download()).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: 'the download of payments.jar stopped at 0 of 1000 bytes: S3 said SlowDown',
  });
  expect(store.reads).toHaveLength(5);
});

test('a file that cannot be read again ends the download: what was hashed is not fetched anew', async () => {
  const { download, store, path } = await downloading(500_000);
  const handle = await open(`${path}.other`, 'w');
  const failure = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
  const reading = vi.spyOn(Object.getPrototypeOf(handle), 'read').mockRejectedValue(failure);
  onTestFinished(() => reading.mockRestore());
  await handle.close();
  // The first range comes last: the others are hashed from the file.
  store.fault = async function* (right, { start }) {
    if (start === 0) await sleep(20);
    yield right;
  };
  await expect(download({ tuning: RANGED })).rejects.toBe(failure);
  expect(new Set(store.reads.map(({ start }) => start)).size).toBe(store.reads.length);
});

test('a missing artifact is final', async () => {
  const { download, store, artifact } = await downloading(1000);
  await expect(download({ artifact: { ...artifact, sha256: '0'.repeat(64) } })).rejects.toMatchObject({
    code: 'ARTIFACT_NOT_FOUND',
  });
  expect(store.reads).toHaveLength(1);
});

test.each([
  ['in one go', FAST],
  ['in ranges', RANGED],
])('wrong bytes are refused, downloaded %s, and not tried again', async (_how, tuning) => {
  const { download, store } = await downloading(300_000);
  store.fault = (right) => {
    const wrong = Buffer.from(right);
    wrong.writeUInt8(wrong.readUInt8(10) ^ 1, 10);
    return inChunks(wrong);
  };
  await expect(download({ tuning })).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST_MISMATCH' });
  expect(store.reads.length).toBe(tuning === RANGED ? 3 : 1);
});

test('a body that is too long ends at the signed size', async () => {
  const { download, store, path } = await downloading(100_000);
  store.fault = async function* () {
    for (;;) yield Buffer.alloc(30_000);
  };
  await expect(download()).rejects.toMatchObject({ code: 'ARTIFACT_SIZE_MISMATCH' });
  expect((await stat(path)).size).toBeLessThanOrEqual(100_000);
});

test('a body that continues only after the signed size is detected as well', async () => {
  const { download, store } = await downloading(100_000);
  store.fault = async function* (right) {
    yield right;
    yield Buffer.of(0);
  };
  await expect(download()).rejects.toMatchObject({ code: 'ARTIFACT_SIZE_MISMATCH' });
});

test('a body that does not end after its last byte is not waited for', async () => {
  const { download, store } = await downloading(100_000);
  store.fault = async function* (right) {
    yield right;
    await new Promise(() => {});
  };
  expect(await download({ tuning: { ...FAST, stallMs: 60_000 } })).toBe(100_000);
});

test('an artifact that is shorter than its signed size fails with both sizes', async () => {
  const { download, store } = await downloading(100_000);
  store.fault = (right, { start }) => inChunks(right.subarray(0, Math.max(0, 40_000 - start)));
  await expect(download()).rejects.toMatchObject({
    code: 'ARTIFACT_SIZE_MISMATCH',
    message: 'payments.jar ends after 40000 bytes; its signed size is 100000',
  });
});

test('a large artifact is downloaded in ranges, four at a time, completely', async () => {
  const { download, store, path, bytes } = await downloading(1_050_000);
  let atOnce = 0;
  let most = 0;
  store.fault = async function* (right) {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await sleep(5);
    yield* inChunks(right);
    atOnce -= 1;
  };
  expect(await download({ tuning: RANGED })).toBe(1_050_000);
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(store.reads).toHaveLength(11);
  expect(store.reads.at(-1)).toEqual({ name: 'payments.jar', start: 1_000_000, end: 1_050_000 });
  expect(most).toBe(4);
});

test('an interrupted range is resumed on its own', async () => {
  const { download, store, path, bytes } = await downloading(1_000_000);
  store.fault = (right, { start }) => (start === 300_000 ? broken(right.subarray(0, 33_000)) : undefined);
  await download({ tuning: RANGED });
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(store.reads).toContainEqual({ name: 'payments.jar', start: 333_000, end: 400_000 });
});

test('the first range that fails ends the others, and nothing is written afterwards', async () => {
  const { download, store } = await downloading(1_000_000);
  store.fault = (right, { start, signal }) => {
    if (start === 0) return new TriggerDeployError('ARTIFACT_NOT_FOUND', 'gone');
    return (async function* () {
      yield right.subarray(0, 100);
      await sleep(60_000, undefined, { signal });
    })();
  };
  await expect(download({ tuning: { ...RANGED, stallMs: 60_000 } })).rejects.toMatchObject({
    code: 'ARTIFACT_NOT_FOUND',
  });
});

test('a body that stalls or is too slow is aborted and retried, even if it ignores the signal', async () => {
  const { download, store, path, bytes } = await downloading(100_000);
  store.fault = (right, _request, n) => {
    if (n === 0) {
      return (async function* () {
        yield right.subarray(0, 50_000);
        await new Promise(() => {});
      })();
    }
    if (n > 1) return undefined;
    return (async function* () {
      for (const byte of right) {
        yield Buffer.of(byte);
        await sleep(100);
      }
    })();
  };
  expect(await download({ tuning: { ...FAST, stallMs: 400 } })).toBe(100_000);
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(store.reads).toHaveLength(3);
});

test('a store that never answers fails in the end', async () => {
  const { download, store } = await downloading(1000);
  store.read = () => new Promise(() => {});
  await expect(download({ tuning: { ...FAST, stallMs: 20 } })).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: 'the download of payments.jar stopped at 0 of 1000 bytes: no data',
  });
});

test('an abort ends a read and a pause alike, with its reason', async () => {
  const { download, store } = await downloading(1000);
  const reason = new Error('superseded');
  store.read = () => new Promise(() => {});
  const reading = new AbortController();
  const first = download({ signal: reading.signal });
  reading.abort(reason);
  await expect(first).rejects.toBe(reason);
});

test('an abort ends the pause between two attempts, with its reason', async () => {
  const { download, store } = await downloading(1000);
  const reason = new Error('superseded');
  const controller = new AbortController();
  store.fault = () => {
    setTimeout(() => controller.abort(reason), 20);
    return new TriggerDeployError('DOWNLOAD_FAILED', 'reset');
  };
  const slow = { ...FAST, backoff: { first: 60_000, longest: 60_000 } };
  await expect(download({ signal: controller.signal, tuning: slow })).rejects.toBe(reason);
});

test('an existing file or link is never written to', async () => {
  const { download, path } = await downloading(1000);
  await writeFile(`${path}-victim`, 'mine');
  await symlink(`${path}-victim`, path);
  await expect(download()).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(`${path}-victim`, 'utf8')).toBe('mine');
});

test('a slow download reports its progress', async () => {
  const { download, store } = await downloading(1000);
  const notes: string[] = [];
  store.fault = async function* (right) {
    yield right.subarray(0, 500);
    await sleep(550);
    yield right.subarray(500, 900);
    yield right.subarray(900);
  };
  await download({ note: (text) => notes.push(text), tuning: { ...FAST, stallMs: 5000 } });
  expect(notes).toEqual(['downloading payments.jar 90 %']);
});

test.each([
  ['in one read', FAST],
  ['in ranges', RANGED],
])(
  'a download %s leaves no listener on the signal of the agent, and none of its chunks in memory',
  async (_, tuning) => {
    const { store, artifact, download, path } = await downloading(600_000);
    const agent = new AbortController();
    const chunks: WeakRef<Uint8Array>[] = [];
    const read = store.read.bind(store);
    const told = {
      ...store,
      async read(request: Parameters<typeof read>[0]) {
        const body = await read(request);
        return (async function* () {
          for await (const chunk of body) {
            const copy = Uint8Array.from(chunk);
            chunks.push(new WeakRef(copy));
            yield copy;
          }
        })();
      },
    };
    for (const n of [1, 2, 3]) {
      await download({ store: told, artifact, path: `${path}-${n}`, tuning, signal: agent.signal });
    }
    expect(getEventListeners(agent.signal, 'abort')).toEqual([]);
    expect(chunks.length).toBeGreaterThan(3);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // A WeakRef keeps its target until the end of the turn of the event loop in which it was made.
    await turn();
    collect();
    await turn();
    collect();
    expect(chunks.filter((chunk) => chunk.deref() !== undefined)).toHaveLength(0);
  },
);
