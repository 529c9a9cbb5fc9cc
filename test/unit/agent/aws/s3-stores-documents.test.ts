import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDesiredStore, createManifestStore } from '../../../../agent/aws/s3-stores.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { keys } from '../../../../shared/names.ts';
import { generateKeys, loadPublicKey, loadSigner, verifierOf } from '../../../../shared/signing.ts';
import { BUCKET, cloudAndAws, fakeAws, rejection } from '../../../support/aws/fixture.ts';

const ARTIFACT = { name: 'payments.jar', size: 10, sha256: 'a'.repeat(64), role: 'package' } as const;
const DESIRED = keys.desired('dev', 'payments');

describe('the desired state', () => {
  async function setUp() {
    const { cloud, aws } = await cloudAndAws();
    return { cloud, store: createDesiredStore({ aws, bucket: BUCKET, env: 'dev' }) };
  }

  test('is read as stored, and not read again until it changes', async () => {
    const { cloud, store } = await setUp();
    cloud.putObject(BUCKET, DESIRED, 'one.two.three');
    const first = await store.read('payments', undefined, NEVER);
    expect(first).toEqual({ text: 'one.two.three', etag: expect.stringMatching(/.+/) });
    const { etag } = first as { etag: string };
    expect(await store.read('payments', etag, NEVER)).toBe('unchanged');
    cloud.putObject(BUCKET, DESIRED, 'four.five.six');
    expect(await store.read('payments', etag, NEVER)).toMatchObject({ text: 'four.five.six' });
  });

  test('that was never written is absent', async () => {
    const { store } = await setUp();
    expect(await store.read('payments', undefined, NEVER)).toBe('absent');
    expect(await store.read('payments', '"an etag"', NEVER)).toBe('absent');
  });

  test('of a missing bucket is an error, not absent', async () => {
    const { aws } = await cloudAndAws();
    const store = createDesiredStore({ aws, bucket: 'no-such-bucket', env: 'dev' });
    expect(await rejection(store.read('payments', undefined, NEVER))).toMatchObject({
      code: 'BUCKET_NOT_FOUND',
    });
  });

  test.each([403, 404, 400])('is not absent because of an answer %d', async (status) => {
    const aws = await fakeAws((_request, response) => response.writeHead(status).end());
    const store = createDesiredStore({ aws, bucket: BUCKET, env: 'dev' });
    expect(await rejection(store.read('payments', undefined, NEVER))).toMatchObject({
      name: 'TriggerDeployError',
    });
  });

  test('of more than 1 MiB is rejected, however long it is', async () => {
    const aws = await fakeAws((_request, response) => {
      const more = () => response.write(Buffer.alloc(64 * 1024), (error) => error ?? more());
      more();
    });
    const store = createDesiredStore({ aws, bucket: BUCKET, env: 'dev' });
    expect(await rejection(store.read('payments', undefined, NEVER))).toMatchObject({
      code: 'DOCUMENT_INVALID',
    });
  });

  test('that arrives too slowly times out, and the connection is closed', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const aws = await fakeAws((_request, response) => {
      const drip = setInterval(() => response.write('x'), 20);
      response.once('close', () => {
        clearInterval(drip);
        resolve();
      });
    });
    const store = createDesiredStore({ aws, bucket: BUCKET, env: 'dev', documentMs: 300 });
    expect(await rejection(store.read('payments', undefined, NEVER))).toMatchObject({
      code: 'TIMEOUT',
      message: 'read the desired state of payments in dev took longer than 300 ms',
    });
    await closed;
  });

  test('ends on an abort, with its reason', async () => {
    const stop = new AbortController();
    const aws = await fakeAws((_request, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('01234', () => stop.abort('stopping'));
    });
    const store = createDesiredStore({ aws, bucket: BUCKET, env: 'dev' });
    expect(await rejection(store.read('payments', undefined, stop.signal))).toBe('stopping');
  });
});

describe('a manifest', () => {
  const KEY_OF_IT = keys.manifest('payments', '1.4.2');
  const MANIFEST = {
    ...{ v: 1, service: 'payments', version: '1.4.2', artifacts: [ARTIFACT], nonce: 'n' },
    ...{ pushedAt: '2026-01-01T00:00:00Z', pushedBy: 'ci' },
  };

  async function setUp(payload: object) {
    const { cloud, aws } = await cloudAndAws();
    const { privateJwk, publicJwk } = await generateKeys();
    const directory = await mkdtemp(join(tmpdir(), 'td-manifest-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const [key, pub] = [join(directory, 'key.json'), join(directory, 'pub.json')];
    await writeFile(key, JSON.stringify(privateJwk), { mode: 0o600 });
    await writeFile(pub, JSON.stringify(publicJwk));
    const signer = await loadSigner(key);
    cloud.putObject(BUCKET, KEY_OF_IT, await signer.sign('td-manifest+jws', payload));
    const verifier = verifierOf([await loadPublicKey(pub)]);
    return { cloud, store: createManifestStore({ aws, bucket: BUCKET, verifier }) };
  }

  test('of a pushed version is read and verified; of another it is undefined', async () => {
    const { store } = await setUp(MANIFEST);
    expect(await store.read('payments', '1.4.2', NEVER)).toMatchObject({ artifacts: [ARTIFACT] });
    expect(await store.read('payments', '1.4.3', NEVER)).toBeUndefined();
  });

  test('of another version under its key is undefined', async () => {
    const { store } = await setUp({ ...MANIFEST, version: '1.4.1' });
    expect(await store.read('payments', '1.4.2', NEVER)).toBeUndefined();
  });

  test('signed by an untrusted key is rejected', async () => {
    const { cloud, store } = await setUp(MANIFEST);
    cloud.putObject(BUCKET, KEY_OF_IT, 'no.signature.here');
    expect(await rejection(store.read('payments', '1.4.2', NEVER))).toMatchObject({
      code: expect.stringMatching(/SIGNATURE_INVALID|DOCUMENT_INVALID/),
    });
  });
});
