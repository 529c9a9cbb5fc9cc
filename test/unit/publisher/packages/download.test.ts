import { Readable } from 'node:stream';
import { type GetObjectCommand, NoSuchKey, type S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { storedBytes } from '../../../../publisher/packages/download.ts';
import { never } from '../../../support/publisher/stage.ts';

const ALL = Buffer.from('0123456789');

/** An S3 whose answers break off at a given place: after so many bytes, or with that error before any. */
function s3Of(breaks: (number | Error)[], ignoresRange = false) {
  const ranges: (string | undefined)[] = [];
  const send = async (command: GetObjectCommand) => {
    const { Range } = command.input;
    ranges.push(Range);
    const next = breaks.shift();
    if (next instanceof Error) throw next;
    const length: number | undefined = next;
    const start = ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(Range ?? '')?.[1] ?? 0);
    async function* body() {
      yield ALL.subarray(start, length === undefined ? undefined : start + length);
      if (length !== undefined) throw Object.assign(new Error('broken off'), { code: 'ECONNRESET' });
    }
    const whole = ALL.length - 1;
    return {
      Body: Readable.from(body()),
      ContentRange: start > 0 ? `bytes ${start}-${whole}/10` : undefined,
    };
  };
  return { s3: { send } as unknown as S3Client, ranges };
}

async function read(s3: S3Client, more: { stallMs?: number; signal?: AbortSignal } = {}): Promise<string> {
  const sleep = async () => undefined;
  const options = {
    s3,
    bucket: 'b',
    key: 'k',
    signal: never(),
    clock: { monotonic: () => 0, sleep },
    ...more,
  };
  const chunks: Buffer[] = [];
  for await (const chunk of storedBytes(options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a download between two buckets', () => {
  it('resumes where the connection broke, as long as it progresses', async () => {
    const { s3, ranges } = s3Of([2, 3, 1, 1, 1, 1]);
    expect(await read(s3)).toBe('0123456789');
    expect(ranges).toEqual([undefined, ...[2, 5, 6, 7, 8, 9].map((at) => `bytes=${at}-`)]);
  });

  it('fails after reads without a byte, and at once when a retry cannot help', async () => {
    const reset = () => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    const dead = s3Of(Array.from({ length: 9 }, reset));
    await expect(read(dead.s3)).rejects.toMatchObject({ code: 'AWS_UNREACHABLE' });
    expect(dead.ranges).toHaveLength(5);
    const gone = s3Of([new NoSuchKey({ message: 'gone', $metadata: { httpStatusCode: 404 } })]);
    await expect(read(gone.s3)).rejects.toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
      message: 's3://b/k does not exist',
    });
    expect(gone.ranges).toHaveLength(1);
  });

  it('never uses the start of the file as the rest', async () => {
    await expect(read(s3Of([2], true).s3)).rejects.toMatchObject({ code: 'AWS_UNREACHABLE' });
  });

  it('without a byte for too long is broken off and resumed; an abort ends it at once', async () => {
    const silent = new Readable({ read() {} });
    const bodies = [silent, Readable.from([ALL])];
    const send = async () => ({ Body: bodies.shift() });
    expect(await read({ send } as unknown as S3Client, { stallMs: 20 })).toBe('0123456789');
    expect(silent.destroyed).toBe(true);
    const stop = new AbortController();
    const forever = new Readable({
      read() {
        stop.abort(new Error('interrupted'));
      },
    });
    const hanging = { send: async () => ({ Body: forever }) } as unknown as S3Client;
    await expect(read(hanging, { signal: stop.signal })).rejects.toThrow('interrupted');
  });
});
