import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openIdFile } from '../../../../publisher/cli/id-file.ts';
import type { PublisherEvent } from '../../../../publisher/events.ts';

const started = (deployment: string) => ({ type: 'started', deployment }) as PublisherEvent;
const inDirectory = async () => join(await mkdtemp(join(tmpdir(), 'id-file-')), 'id');

test('the file holds the id of the deployment that started first, not of the rollback after it', async () => {
  const file = await inDirectory();
  const listen = openIdFile(file);
  listen(started('01JDB2Q0V7M3N8T5R9XKZC4W6H'));
  listen(started('01JDB2Q0V7M3N8T5R9XKZC4W6J'));
  expect(await readFile(file, 'utf8')).toBe('01JDB2Q0V7M3N8T5R9XKZC4W6H\n');
});

test('a file of an earlier command is empty until a deployment starts', async () => {
  const file = await inDirectory();
  await writeFile(file, '01JDB2Q0V7M3N8T5R9XKZC4W6H\n');
  openIdFile(file);
  expect(await readFile(file, 'utf8')).toBe('');
});

test('a file that cannot be written is refused before anything is announced', async () => {
  const file = join(await inDirectory(), 'nested');
  expect(() => openIdFile(file)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});
