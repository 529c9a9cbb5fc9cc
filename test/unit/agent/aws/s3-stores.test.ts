import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createArtifactStore } from '../../../../agent/aws/s3-stores.ts';
import type { ArtifactStore } from '../../../../agent/deploy/ports.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { keys } from '../../../../shared/names.ts';
import { BUCKET, cloudAndAws, fakeAws, rejection } from '../../../support/aws/fixture.ts';

const ARTIFACT = { name: 'payments.jar', size: 10, sha256: 'a'.repeat(64), role: 'package' } as const;
const KEY = keys.artifact('payments', '1.4.2', ARTIFACT.sha256, ARTIFACT.name);
const ask = (start: number, end: number, signal = NEVER) => ({
  service: 'payments',
  version: '1.4.2',
  artifact: ARTIFACT,
  start,
  end,
  block: Buffer.alloc(64),
  signal,
});

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts).toString();
}

const readAll = async (store: ArtifactStore, signal = NEVER) => textOf(await store.read(ask(0, 10, signal)));

describe('an artifact', () => {
  async function setUp() {
    const { cloud, aws } = await cloudAndAws();
    return { cloud, store: createArtifactStore({ aws, bucket: BUCKET }) };
  }

  test('is read from start to before end, with a request for no more', async () => {
    const { cloud, store } = await setUp();
    cloud.putObject(BUCKET, KEY, '0123456789');
    expect(await textOf(await store.read(ask(0, 10)))).toBe('0123456789');
    expect(await textOf(await store.read(ask(4, 7)))).toBe('456');
    expect(cloud.requests.map(({ range }) => range)).toEqual(['bytes=0-9', 'bytes=4-6']);
  });

  test('of no bytes makes no request', async () => {
    const { cloud, store } = await setUp();
    expect(await textOf(await store.read(ask(0, 0)))).toBe('');
    expect(cloud.requests).toEqual([]);
  });

  test('that does not exist is ARTIFACT_NOT_FOUND, with its location', async () => {
    const { store } = await setUp();
    expect(await rejection(readAll(store))).toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
      message: expect.stringContaining(`s3://${BUCKET}/${KEY}`),
    });
  });

  test('in a bucket that is not there is BUCKET_NOT_FOUND', async () => {
    const { aws } = await cloudAndAws();
    const store = createArtifactStore({ aws, bucket: 'no-such-bucket' });
    expect(await rejection(readAll(store))).toMatchObject({ code: 'BUCKET_NOT_FOUND' });
  });

  test('shorter than its signed size ends early, or is DOWNLOAD_FAILED if no byte is left', async () => {
    const { cloud, store } = await setUp();
    cloud.putObject(BUCKET, KEY, '01234');
    expect(await textOf(await store.read(ask(3, 10)))).toBe('34');
    expect(await rejection(store.read(ask(5, 10)))).toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('shorter than its signed size'),
    });
  });

  test('whose answers are lost is DOWNLOAD_FAILED, and can be read the next time', async () => {
    const { cloud, store } = await setUp();
    cloud.putObject(BUCKET, KEY, '0123456789');
    // The SDK itself makes four tries.
    cloud.fail('answer-lost', ({ operation }) => operation === 'GetObject', 4);
    expect(await rejection(readAll(store))).toMatchObject({
      code: 'DOWNLOAD_FAILED',
      cause: expect.any(Error),
    });
    expect(await readAll(store)).toBe('0123456789');
  });

  test('that may not be read is DOWNLOAD_FAILED, and the hint names the permission', async () => {
    const aws = await fakeAws((_request, response) => {
      response.writeHead(403, { 'content-type': 'application/xml' });
      response.end('<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>');
    });
    expect(await rejection(readAll(createArtifactStore({ aws, bucket: BUCKET })))).toMatchObject({
      code: 'DOWNLOAD_FAILED',
      hint: expect.stringContaining('s3:ListBucket'),
    });
  });
});

describe('a body', () => {
  /** An S3 that begins to answer with half of the artifact; what comes then is the test's. */
  async function half(then: (response: ServerResponse) => void, stallMs?: number) {
    const aws = await fakeAws((_request, response) => {
      response.writeHead(206, { 'content-length': 10, 'content-range': 'bytes 0-9/10' });
      response.write('01234', () => then(response));
    });
    return createArtifactStore({ aws, bucket: BUCKET, ...(stallMs !== undefined && { stallMs }) });
  }

  test('whose connection breaks is DOWNLOAD_FAILED, after the bytes that arrived', async () => {
    const store = await half((response) => response.destroy());
    const body = await store.read(ask(0, 10));
    const got: string[] = [];
    const reading = (async () => {
      for await (const part of body) got.push(Buffer.from(part).toString());
    })();
    expect(await rejection(reading)).toMatchObject({ code: 'DOWNLOAD_FAILED', cause: expect.any(Error) });
    expect(got).toEqual(['01234']);
  });

  test('that stalls is DOWNLOAD_FAILED', async () => {
    const store = await half(() => undefined, 100);
    expect(await rejection(readAll(store))).toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('no byte received for 100 ms'),
    });
  });

  test('is collected in the block of the reader: as much as fits, then what is left', async () => {
    const parts = ['0123', '4567', '89'];
    const aws = await fakeAws((_request, response) => {
      response.writeHead(206, { 'content-length': 10, 'content-range': 'bytes 0-9/10' });
      const next = () => {
        const part = parts.shift();
        if (part === undefined) response.end();
        else response.write(part, next);
      };
      next();
    });
    const block = Buffer.alloc(3);
    const got: string[] = [];
    const body = await createArtifactStore({ aws, bucket: BUCKET }).read({ ...ask(0, 10), block });
    for await (const part of body) {
      expect(part.buffer).toBe(block.buffer);
      got.push(Buffer.from(part).toString());
    }
    expect(got.join('')).toBe('0123456789');
    expect(got.slice(0, 3)).toEqual(['012', '345', '678']);
  });

  test('whose reader is slow has not stalled', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<ServerResponse>();
    const store = await half(resolve, 1000);
    const got: string[] = [];
    for await (const part of await store.read(ask(0, 10))) {
      got.push(Buffer.from(part).toString());
      await sleep(1200);
      (await begun).end('56789');
    }
    expect(got).toEqual(['01234', '56789']);
  });

  test('ends on an abort with its reason, and the connection is closed', async () => {
    const stop = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const store = await half((response) => {
      response.once('close', resolve);
      setImmediate(() => stop.abort('superseded'));
    });
    expect(await rejection(readAll(store, stop.signal))).toBe('superseded');
    await closed;
  });

  test('that is aborted before it is read is closed as well', async () => {
    const stop = new AbortController();
    let answer: ServerResponse | undefined;
    const store = await half((response) => {
      answer = response;
    });
    const body = await store.read(ask(0, 10, stop.signal));
    await expect.poll(() => answer).toBeDefined();
    const closed = once(answer as ServerResponse, 'close');
    stop.abort('superseded');
    await closed;
    expect(await rejection(textOf(body))).toBe('superseded');
  });

  test('whose reader stops early is closed', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const store = await half((response) => response.once('close', resolve));
    for await (const _ of await store.read(ask(0, 10))) break;
    await closed;
  });

  test('that starts at another offset than requested is DOWNLOAD_FAILED', async () => {
    const aws = await fakeAws((_request, response) => response.end('0123456789'));
    const store = createArtifactStore({ aws, bucket: BUCKET });
    expect(await rejection(store.read(ask(5, 10)))).toMatchObject({ code: 'DOWNLOAD_FAILED' });
  });

  test('is not requested once the signal is aborted', async () => {
    const asked = vi.fn();
    const store = createArtifactStore({ aws: await fakeAws(asked), bucket: BUCKET });
    expect(await rejection(store.read(ask(0, 10, AbortSignal.abort('stopping'))))).toBe('stopping');
    expect(asked).not.toHaveBeenCalled();
  });
});
