import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { notice } from '../../../publisher/notify/notice.ts';

/** docs/EVENTS.md explains exactly the keys of the schema of each event. */

const EVENTS = await readFile(new URL('../../../docs/EVENTS.md', import.meta.url), 'utf8');
const schemas = new Map(
  notice.options.map((schema) => [schema.shape.type.value, schema] as [string, typeof schema]),
);
const types = [...schemas.keys()];
/** The keys of the tables below the paragraph that begins with `words`. */
function keysBelow(words: string): string[] {
  const [, rest = ''] = EVENTS.split(`\n${words}`);
  const [table = ''] = rest.split(/\n(?:In |## )/);
  return [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key ?? '');
}
const GROUPS: readonly [words: string, holds: (type: string) => boolean][] = [
  ['In every event:', () => true],
  ['In every event but `paused` and `unpaused`:', (type) => !type.endsWith('paused')],
  ['In `started` and `resumed`:', (type) => ['started', 'resumed'].includes(type)],
  ['In `waiting`:', (type) => type === 'waiting'],
  ['In `check-failed`:', (type) => type === 'check-failed'],
  [
    'In `succeeded`, `rolled-back`, `failed`, `timed-out` and `cancelled`:',
    (type) => ['succeeded', 'rolled-back', 'failed', 'timed-out', 'cancelled'].includes(type),
  ],
  ['In `left`:', (type) => type === 'left'],
  ['In `paused` and `unpaused`:', (type) => type.endsWith('paused')],
];

function exampleOf(type: string): Record<string, unknown> {
  const [, rest = ''] = EVENTS.split(`\n### ${type}\n`);
  const [, json = ''] = /```json\n([\s\S]*?)```/.exec(rest.split('\n### ')[0] ?? '') ?? [];
  return JSON.parse(json);
}

describe('docs/EVENTS.md', () => {
  test('has one example of every event, and of no other', () => {
    const headings = [...EVENTS.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading ?? '');
    expect(headings.toSorted()).toEqual(types.toSorted());
  });

  test.each(types)('explains exactly the keys of %s', (type) => {
    const explained = GROUPS.filter(([, holds]) => holds(type)).flatMap(([words]) => keysBelow(words));
    expect(explained.toSorted()).toEqual(Object.keys(schemas.get(type)?.shape ?? {}).toSorted());
  });

  test.each(types)('the example of %s is valid and has no unknown key', (type) => {
    const example = exampleOf(type);
    expect(notice.parse(example)).toMatchObject({ type });
    const known = Object.keys(schemas.get(type)?.shape ?? {});
    expect(Object.keys(example).filter((key) => !known.includes(key))).toEqual([]);
  });

  test.each(types)('a %s with another `v`, or without a required key, is invalid', (type) => {
    const example = exampleOf(type);
    expect(notice.safeParse({ ...example, v: 2 }).success).toBe(false);
    expect(notice.safeParse({ ...example, by: undefined }).success).toBe(false);
  });
});
