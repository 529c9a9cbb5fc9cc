import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync('docs/ARCHITECTURE.md', 'utf8');
const files = ['agent', 'publisher', 'shared', 'systemd'].flatMap((directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`),
);

/** `ports.ts`, or with its folder `deploy/ports.ts`, or `*.8` for all manual pages. */
const named = (path: string) =>
  [basename(path), `${basename(dirname(path))}/${basename(path)}`].some((name) =>
    page.includes(`\`${name}\``),
  ) || /\.[18]$/.test(path);

test('the page has a line for every file that ships', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((path) => !named(path))).toEqual([]);
});

test('the page names no TypeScript file that is not there', () => {
  const names = [...page.matchAll(/`((?:[\w-]+\/)?[\w-]+\.ts)`/g)].map(([, name]) => name);
  const known = [...files, 'test/support/fleet/fleet.ts', 'test/support/fleet/fake-ports.ts'];
  expect(names.filter((name) => !known.some((path) => `/${path}`.endsWith(`/${name}`)))).toEqual([]);
});
