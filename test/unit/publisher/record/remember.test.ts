import { expect, test } from 'vitest';
import * as z from 'zod';
import type { Objects } from '../../../../publisher/record/objects.ts';
import { rememberObjects } from '../../../../publisher/record/remember.ts';

/** A bucket that notes what was asked of it: `KEY` for a body, `KEY 304` where nothing had changed. */
function bucket(texts: Record<string, string>) {
  const asked: string[] = [];
  const etags: Record<string, string> = {};
  const objects = {
    readUnless: async (key: string, etag?: string) => {
      const text = texts[key];
      if (text === undefined) return undefined;
      const now = etags[key] ?? '1';
      asked.push(etag === now ? `${key} 304` : key);
      return etag === now
        ? { unchanged: true as const, readAt: 7 }
        : { text, etag: now, lastModified: 1, readAt: 7 };
    },
  } as unknown as Objects;
  const change = (key: string, text: string, etag: string) => {
    texts[key] = text;
    etags[key] = etag;
  };
  return { objects, asked, change, texts };
}

const any = z.record(z.string(), z.number());

test('an object is transferred once, asked for at each read, and read again when it has changed', async () => {
  const { objects, asked, change, texts } = bucket({ a: '{"n":1}' });
  const remembering = rememberObjects(objects, 'b');
  expect((await remembering.readJson('a', any))?.value).toEqual({ n: 1 });
  expect((await remembering.readJson('a', any))?.value).toEqual({ n: 1 });
  change('a', '{"n":2}', '2');
  expect((await remembering.readJson('a', any))?.value).toEqual({ n: 2 });
  delete texts.a;
  expect(await remembering.readJson('a', any)).toBeUndefined();
  expect(asked).toEqual(['a', 'a 304', 'a']);
});

test('only an object whose ETag was in a list just now is not asked for', async () => {
  const { objects, asked, change } = bucket({ a: '{"n":1}' });
  const remembering = rememberObjects(objects, 'b');
  await remembering.readJson('a', any, '1');
  await remembering.readJson('a', any, '1');
  expect(asked).toEqual(['a']);
  change('a', '{"n":2}', '2');
  expect((await remembering.readJson('a', any, '2'))?.value).toEqual({ n: 2 });
});

test('what was not used for longest goes first, and what is too large for it is not kept', async () => {
  const { objects, asked } = bucket({
    a: '{"n":1}',
    b: '{"n":2}',
    c: '{"n":3}',
    large: `{"n":${'1'.repeat(99)}}`,
  });
  const remembering = rememberObjects(objects, 'b', 2 * 2 * '{"n":1}'.length);
  for (const key of ['a', 'b', 'a', 'c']) await remembering.read(key);
  asked.length = 0;
  for (const key of ['a', 'c', 'b']) await remembering.read(key);
  expect(asked).toEqual(['a 304', 'c 304', 'b']);
  asked.length = 0;
  for (const key of ['large', 'large']) await remembering.read(key);
  expect(asked).toEqual(['large', 'large']);
});
