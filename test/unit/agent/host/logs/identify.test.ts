import { expect, test } from 'vitest';
import type { Content } from '../../../../../agent/host/logs/content.ts';
import type { FoundFile } from '../../../../../agent/host/logs/find-files.ts';
import { identify } from '../../../../../agent/host/logs/identify.ts';
import { printOf, type Stream } from '../../../../../agent/host/logs/streams.ts';
import { calm } from '../../../../support/host/clock.ts';

const HEAD = 'h'.repeat(1100);

function contentOf(text: string): Content {
  const bytes = Buffer.from(text);
  return {
    compressed: false,
    stat: async () => ({ size: bytes.length, mtime: 1 }),
    async *chunks(start, end) {
      if (start < bytes.length) yield bytes.subarray(start, end);
    },
    end: async () => bytes.length,
    close: async () => {},
  };
}

/** What a first look at these files finds. */
async function look(texts: Record<string, string>) {
  let opened = 0;
  const files = Object.entries(texts).map(([label, text], i): FoundFile => {
    const inode = { dev: '1', ino: String(i) };
    return { dir: '/logs', name: Buffer.from(label), label, ...inode, size: text.length, mtime: 1 };
  });
  const begin = (file: FoundFile, head: Stream['head']): Stream => ({
    ...{ kind: 'file', id: file.label, name: file.label, since: 0, head, shipped: [] },
    tail: { ...printOf(Buffer.alloc(0)), end: 0 },
    carriers: [{ dev: file.dev, ino: file.ino }],
  });
  const open = async ({ label }: FoundFile) => {
    opened += 1;
    return contentOf(texts[label] ?? '');
  };
  const sightings = await identify({ files, streams: [], open, begin, signal: calm });
  return { names: sightings.map(({ stream }) => stream.name), opened };
}

test('files that begin alike are not compared each with each, and a copy with its name is still found', async () => {
  const texts: Record<string, string> = {};
  for (let i = 100; i < 600; i += 1) texts[`app.log.${i}`] = `${HEAD}${i}`;
  texts['app.log.123.bak'] = texts['app.log.123'] ?? '';
  const { names, opened } = await look(texts);
  expect(names).toHaveLength(500);
  expect(names).not.toContain('app.log.123.bak');
  expect(opened).toBeLessThan(20 * 500);
});
