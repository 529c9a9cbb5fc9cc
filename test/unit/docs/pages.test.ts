import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

/** What holds for every page, and for every file that cites one. */

const MOST_README_LINES = 220;
const MOST_CELL_CHARACTERS = 200;

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .trim()
  .split('\n');
const known = new Set(tracked.flatMap((path) => [path, ...foldersOf(path)]));
const pages = new Map(
  tracked.filter((path) => path.endsWith('.md')).map((path) => [path, readFileSync(path, 'utf8')] as const),
);

function foldersOf(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}

const withoutCode = (page: string) => page.replace(/^ *```[\s\S]*?^ *```$/gm, '');

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, text = ''] of withoutCode(page).matchAll(/^#+ (.+)$/gm)) {
    const anchor = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-');
    let unique = anchor;
    for (let n = 1; anchors.has(unique); n += 1) unique = `${anchor}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

function brokenLinks(path: string, page: string): string[] {
  const links = [...withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : normalize(join(dirname(path), file));
    if (!known.has(target)) return true;
    return anchor !== undefined && !anchorsOf(pages.get(target) ?? '').has(anchor);
  });
}

describe.each([...pages])('%s', (path, page) => {
  test('has only links and anchors that resolve', () => {
    expect(brokenLinks(path, page)).toEqual([]);
  });

  test('has no table cell of more than 200 characters', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('|'));
    const cells = rows.flatMap((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));
    expect(cells.filter((cell) => cell.length > MOST_CELL_CHARACTERS)).toEqual([]);
  });

  test('names only files of this repository', () => {
    const named = [...page.matchAll(/`((?:agent|publisher|shared|systemd|test|docs|\.ci)\/[\w./-]+)`/g)];
    const paths = named.map(([, name = '']) => name.replace(/\/$/, ''));
    // A command of a page may name the file that it makes.
    expect(paths.filter((name) => !known.has(name) && !/NAME/.test(name))).toEqual([]);
  });
});

test('README has at most 220 lines', () => {
  expect((pages.get('README.md') ?? '').split('\n').length - 1).toBeLessThanOrEqual(MOST_README_LINES);
});

test('no source, test, script or page cites a page that is not in this repository', () => {
  const texts = tracked.filter(
    (path) =>
      /^(agent|publisher|shared|systemd|test|docs|\.ci|[A-Z.])/.test(path) && !/\.(jar|json)$/.test(path),
  );
  const cited = texts.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/\b(?:docs\/)?([A-Z][A-Z-]{2,}\.md)\b/g)]
      .map(([, name = '']) => name)
      .filter((name) => !known.has(name) && !known.has(`docs/${name}`))
      .map((name) => `${path}: ${name}`),
  );
  expect(cited).toEqual([]);
});

test('no comment cites the working papers of the project, which are not in this repository', () => {
  const sources = tracked.filter((path) => /^(agent|publisher|shared|systemd|test)\//.test(path));
  const papers = new RegExp(`\\b(${['DESIGN', 'HOUSE', 'FAILURES', 'HABITS'].join('|')})\\b`);
  expect(
    sources.filter((path) => papers.test(readFileSync(path, 'utf8')) && !path.endsWith('pages.test.ts')),
  ).toEqual([]);
});
