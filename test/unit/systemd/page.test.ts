import { brotliDecompressSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import type { PageFile } from '../../../publisher/console/http/page-source.ts';
import { buildPage } from '../../../systemd/page-bundle.ts';

const KB = 1000;
let files: readonly PageFile[];
beforeAll(async () => {
  files = await buildPage();
});

const textOf = ({ brotli }: PageFile) => brotliDecompressSync(Buffer.from(brotli, 'base64')).toString('utf8');
const fileOf = (ending: string) => {
  const found = files.find(({ path }) => path.endsWith(ending));
  if (found === undefined) throw new Error(`no ${ending}`);
  return found;
};
const packed = (ending: string) => Buffer.from(fileOf(ending).brotli, 'base64').length / KB;

test('the page is three requests: the HTML, one script, one style sheet', () => {
  expect(files.map(({ path }) => path.replace(/-[0-9a-f]{16}\./, '.'))).toEqual([
    '/',
    '/page.js',
    '/page.css',
  ]);
  const html = textOf(fileOf('/'));
  const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
  expect(named.filter((path) => !path?.startsWith('data:')).sort()).toEqual(
    [fileOf('.css').path, fileOf('.js').path].sort(),
  );
});

test('the script has 45 KB and the style sheet 8 KB at most, packed', () => {
  expect(packed('.js')).toBeLessThan(45);
  expect(packed('.css')).toBeLessThan(8);
});

test('the page loads nothing else: no font, no image, no import, no other address', () => {
  for (const file of files) {
    const text = textOf(file);
    expect(text).not.toMatch(/@import|@font-face|url\((?!["']?(data:|#))/);
    expect(text).not.toMatch(/\bimport\(/);
  }
});

test('nothing of a server, of AWS or of zod gets into the page', () => {
  const script = textOf(fileOf('.js'));
  for (const word of ['node:', 'aws-sdk', 'ZodError', 'createRequire']) expect(script).not.toContain(word);
});

test('the same sources give the same bytes', async () => {
  expect(await buildPage()).toEqual(files);
});
