import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** docs/ARCHITECTURE.md has one line for each file that ships, under the heading of its folder. */

const page = readFileSync('docs/ARCHITECTURE.md', 'utf8');
const files = ['agent', 'publisher', 'shared', 'systemd'].flatMap((directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`),
);

/** The paths that the list names, with what it says of each. */
const [, list = ''] = page.split('\n## A line per file\n');
const lines = list.split(/^### /m).flatMap((section) => {
  const [folder = ''] = section.split('\n');
  return [...section.matchAll(/^- `([^`]+)`: (.+)$/gm)].map(([, name, what = '']) => ({
    path: `${folder}${name}`,
    what,
  }));
});

test('the page has one line for every file that ships, and no other', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(lines.map(({ path }) => path).toSorted()).toEqual(files.toSorted());
});

test('each line says what the file is', () => {
  expect(lines.filter(({ what }) => what.length < 5)).toEqual([]);
});

test('every room of the import rules is explained', () => {
  const rules = readFileSync('.dependency-cruiser.mjs', 'utf8');
  const rooms = [...rules.matchAll(/^ {2}'?((?:publisher|agent|shared)(?:\/[a-z-]+)*)'?: \[/gm)].map(
    ([, room]) => room,
  );
  expect(rooms.length).toBeGreaterThan(15);
  expect(rooms.filter((room) => !page.includes(`\n### ${room}/\n`))).toEqual([]);
});
