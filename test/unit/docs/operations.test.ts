import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ENDINGS, PROGRESS_STATES } from '../../../shared/states.ts';

/** docs/OPERATIONS.md explains exactly the error codes and the endings that exist. */

const read = async (path: string) => await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
const OPERATIONS = await read('docs/OPERATIONS.md');

function sectionOf(heading: string): string {
  const [, rest] = OPERATIONS.split(`\n## ${heading}\n`);
  if (rest === undefined) throw new Error(`there is no section ${heading}`);
  return rest.split(/\n## /)[0] ?? '';
}

/** What the first cells of a section's tables name. */
const named = (heading: string) =>
  [...sectionOf(heading).matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name ?? '').sort();

async function errorCodes(): Promise<string[]> {
  const source = await read('shared/errors.ts');
  const [, union] = /export type ErrorCode =([^;]+);/.exec(source) ?? [];
  return [...(union ?? '').matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code ?? '').sort();
}

describe('docs/OPERATIONS.md', () => {
  test('explains exactly the error codes that exist', async () => {
    const codes = await errorCodes();
    expect(codes).toContain('CHECK_FAILED');
    expect(named('What the error codes mean')).toEqual(codes);
  });

  test('explains exactly the endings that exist', () => {
    expect(named('What the states mean')).toEqual([...ENDINGS].sort());
  });

  test('names every state of progress', () => {
    const section = sectionOf('What the states mean');
    expect(PROGRESS_STATES.filter((state) => !section.includes(`\`${state}\``))).toEqual([]);
  });

  test('names a test on a booted instance for each row of what is supported', async () => {
    const rows = sectionOf('What is supported')
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split(' | ').at(-1)?.replace(/ \|$/, '') ?? '');
    expect(rows.slice(0, 2)).toEqual(['test', '---']);
    const tests = await read('test/e2e/unit-types.test.ts');
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.slice(2).filter((title) => !tests.includes(`test('${title}'`))).toEqual([]);
  });
});
