import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser } from '../../publisher/console/http/open-browser.ts';

const ADDRESS = 'http://127.0.0.1:7117/#k=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const { PATH } = process.env;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'open-browser-'));
});
afterAll(async () => {
  process.env.PATH = PATH;
  await rm(directory, { recursive: true });
});

/** A browser that writes down with what it was opened, and ends with `code`. */
async function browser(code: number): Promise<string> {
  const seen = join(directory, `seen-${code}`);
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" > ${seen}.part\nmv ${seen}.part ${seen}\nexit ${code}\n`;
  await writeFile(join(directory, 'xdg-open'), script, { mode: 0o755 });
  process.env.PATH = [directory, PATH].join(delimiter);
  return seen;
}

test('the browser is opened by a file that only this user can read: no program has the key as an argument', async () => {
  const seen = await browser(0);
  const failures: string[] = [];
  const remove = await openBrowser(ADDRESS, (text) => failures.push(text));
  await expect.poll(() => readFile(seen, 'utf8').catch(() => '')).not.toBe('');
  const argument = (await readFile(seen, 'utf8')).trim();
  expect(argument).not.toContain('#k=');
  expect((await stat(argument)).mode & 0o777).toBe(0o600);
  expect(await readFile(argument, 'utf8')).toContain(`url=${ADDRESS}`);
  await remove();
  await expect(stat(argument)).rejects.toThrow('ENOENT');
  expect(failures).toEqual([]);
});

test('that no browser opens is told, and is no error', async () => {
  await browser(3);
  const failures: string[] = [];
  const removeFirst = await openBrowser(ADDRESS, (text) => failures.push(text));
  await expect.poll(() => failures).toEqual(['xdg-open ended with 3']);
  process.env.PATH = join(directory, 'nothing');
  const removeSecond = await openBrowser(ADDRESS, (text) => failures.push(text));
  await expect.poll(() => failures.at(-1)).toBe('xdg-open: ENOENT');
  await Promise.all([removeFirst(), removeSecond()]);
});
