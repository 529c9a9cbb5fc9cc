import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, test } from 'vitest';
import { createOrderSpool, type OrderSpool } from '../../../../../agent/host/state/order-spool.ts';
import { withSpooledArtifacts } from '../../../../../agent/host/state/spooled-artifacts.ts';
import type { Artifact } from '../../../../../shared/manifest.ts';
import { newUlid } from '../../../../../shared/names.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

let state: string;
let spool: OrderSpool;
beforeEach(async () => {
  state = await temporaryDirectory();
  spool = createOrderSpool(state);
});

const orderOf = (version: string, now = Date.now()) => ({
  ...{ deployment: newUlid(now), service: 'payments', version, action: 'deploy' as const, by: 'ada' },
  at: new Date(now).toISOString(),
});

async function file(name: string, content: string) {
  const file = join(state, name);
  await writeFile(file, content);
  return { file, name, size: content.length, role: 'package' as const };
}

async function given(version: string, content = 'hello') {
  return await spool.give(orderOf(version), { files: [await file('payments.jar', content)] });
}

describe('an order', () => {
  test('waits until it is removed, with the digest of its file', async () => {
    const order = await given('1.0');
    expect(order.artifacts).toEqual([
      {
        name: 'payments.jar',
        role: 'package',
        size: 5,
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      },
    ]);
    expect(await createOrderSpool(state).pending()).toEqual([order]);
    await spool.remove(order.deployment);
    expect(await spool.pending()).toEqual([]);
    expect(await readdir(join(state, 'local'))).toEqual([]);
  });

  test('cannot be read by other users', async () => {
    const { deployment } = await given('1.0');
    const modes = await Promise.all(
      [
        join(state, 'local'),
        spool.pathOf(deployment),
        join(spool.pathOf(deployment), 'files', 'payments.jar'),
      ].map(async (path) => ((await stat(path)).mode & 0o777).toString(8)),
    );
    expect(modes).toEqual(['700', '700', '600']);
  });

  test('follows earlier orders', async () => {
    const [late, early] = [orderOf('2', 2_000_000), orderOf('1', 1_000_000)];
    for (const order of [late, early]) await spool.give(order, { artifacts: [] });
    expect((await spool.pending()).map(({ version }) => version)).toEqual(['1', '2']);
  });

  test('is noticed at once', async () => {
    await mkdir(join(state, 'local'), { mode: 0o700 });
    await spool.pending();
    const signal = AbortSignal.timeout(20_000);
    const heard = spool.changed(60_000, signal);
    await given('1.0');
    await heard;
  });

  test('whose file cannot be read leaves no files', async () => {
    const missing = { file: join(state, 'none'), name: 'none', size: 1, role: 'package' as const };
    await expect(spool.give(orderOf('1.0'), { files: [missing] })).rejects.toThrow(/ENOENT/);
    expect(await readdir(join(state, 'local'))).toEqual([]);
  });
});

describe('an entry of the spool that is not an order', () => {
  test('of a killed command is ignored, and removed after an hour', async () => {
    const old = `.new-${newUlid(Date.now() - 2 * 3_600_000)}`;
    const fresh = `.new-${newUlid(Date.now())}`;
    for (const name of [old, fresh])
      await mkdir(join(state, 'local', name), { recursive: true, mode: 0o700 });
    await chmod(join(state, 'local'), 0o700);
    expect(await spool.pending()).toEqual([]);
    expect(await readdir(join(state, 'local'))).toEqual([fresh]);
  });

  test('is ignored when it is truncated, or has another id than its directory', async () => {
    const { deployment } = await given('1.0');
    const path = join(spool.pathOf(deployment), 'order.json');
    const text = await readFile(path, 'utf8');
    for (const wrong of [text.slice(0, 40), text.replace(deployment, newUlid(1)), '']) {
      await writeFile(path, wrong);
      expect(await spool.pending()).toEqual([]);
    }
  });

  test('is not read at all where other users may write', async () => {
    await given('1.0');
    await chmod(join(state, 'local'), 0o777);
    await expect(spool.pending()).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  });

  test('that others could have put there meanwhile is ignored', async () => {
    const [loose, own] = [await given('1.0'), await given('1.1')];
    await chmod(spool.pathOf(loose.deployment), 0o777);
    expect(await spool.pending()).toEqual([own]);
  });
});

describe('the artifacts of an order', () => {
  const request = (artifact: Artifact, more = {}) => ({
    ...{ service: 'payments', version: '1.0', artifact, start: 0, end: artifact.size },
    block: Buffer.alloc(64),
    signal: AbortSignal.timeout(10_000),
    ...more,
  });
  const elsewhere = {
    async read() {
      return (async function* () {
        yield Buffer.from('from S3');
      })();
    },
  };

  test('are read from its copy, also in ranges', async () => {
    const [artifact] = (await given('1.0')).artifacts as [Artifact];
    const store = withSpooledArtifacts(spool, elsewhere);
    const read = async (more = {}) => String(await buffer(await store.read(request(artifact, more))));
    expect(await read()).toBe('hello');
    expect(await read({ start: 1, end: 3 })).toBe('el');
    expect(await read({ start: 5, end: 5 })).toBe('');
  });

  test('of another digest, version or service come from the store', async () => {
    const [artifact] = (await given('1.0')).artifacts as [Artifact];
    const store = withSpooledArtifacts(spool, elsewhere);
    const others = [
      request({ ...artifact, sha256: '0'.repeat(64) }),
      request(artifact, { version: '1.1' }),
      request(artifact, { service: 'ledger' }),
    ];
    for (const other of others) expect(String(await buffer(await store.read(other)))).toBe('from S3');
  });
});
