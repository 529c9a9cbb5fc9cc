import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { openOutput, writeAll } from '../../../shared/output.ts';

it.each(['EPIPE', 'ENOSPC', 'EIO'])(
  'a stream that fails with %s throws nothing, and the loss is told at the end',
  async (code) => {
    const taken: string[] = [];
    const stream = new Writable({
      write(chunk, _encoding, done) {
        taken.push(String(chunk));
        done(taken.length > 1 ? Object.assign(new Error('no'), { code }) : null);
      },
    });
    const output = openOutput(stream);
    for (const text of ['one', 'two', 'three']) output.write(text);
    expect(await output.flush()).toMatchObject({ code });
    output.write('four');
    expect(await output.flush()).toMatchObject({ code });
    expect(taken).not.toContain('four');
  },
);

it('what is written is written, and nothing is lost', async () => {
  const taken: string[] = [];
  const stream = new Writable({ write: (chunk, _, done) => done(void taken.push(String(chunk))) });
  const output = openOutput(stream);
  output.write('one');
  expect(await output.flush()).toBeUndefined();
  expect(taken.join('')).toBe('one');
});

it('a log line goes whole to its file, and is dropped where the disk is full or the file is closed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'output-'));
  const file = join(directory, 'log');
  const fd = openSync(file, 'w');
  writeAll(fd, 'é'.repeat(100_000));
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe('é'.repeat(100_000));
  expect(() => writeAll(fd, 'x')).not.toThrow();
  const full = openSync('/dev/full', 'w');
  expect(() => writeAll(full, 'x')).not.toThrow();
  closeSync(full);
  await rm(directory, { recursive: true });
});
