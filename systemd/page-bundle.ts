import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import type { PageFile } from '../publisher/console/http/page-source.ts';

/**
 * Builds the page of the console: one script, one style sheet and the HTML that names both. The name of each has a hash of
 * its content, so that a browser keeps it for ever. The same sources give the same bytes.
 */

const directory = join(import.meta.dirname, '../publisher/page');
const HASH_DIGITS = 16;
const SCRIPT = '/page.js';
const STYLES = '/page.css';

/** The HTML first. @throws what esbuild throws, and when the HTML does not name both files. */
export async function buildPage(): Promise<readonly PageFile[]> {
  const { outputFiles } = await build({
    absWorkingDir: directory,
    entryPoints: ['page.tsx', 'styles/page.css'],
    outdir: directory,
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const textOf = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  const script = named(SCRIPT, textOf('.js'), 'text/javascript; charset=utf-8');
  const styles = named(STYLES, textOf('.css'), 'text/css; charset=utf-8');
  const html = await readFile(join(directory, 'index.html'), 'utf8');
  for (const one of [SCRIPT, STYLES]) {
    if (!html.includes(`"${one}"`)) throw new Error(`publisher/page/index.html does not name ${one}`);
  }
  const shell = html.replace(`"${SCRIPT}"`, `"${script.path}"`).replace(`"${STYLES}"`, `"${styles.path}"`);
  return [fileOf('/', shell, 'text/html; charset=utf-8'), script, styles];
}

function named(path: string, text: string, type: string): PageFile {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS);
  return fileOf(path.replace('.', `-${hash}.`), text, type);
}

function fileOf(path: string, text: string, type: string): PageFile {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
  };
  return { path, type, brotli: brotliCompressSync(text, { params }).toString('base64') };
}
