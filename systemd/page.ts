import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, transform } from 'esbuild';

/** Builds the page of the console. The same sources give the same bytes. */

const root = join(import.meta.dirname, '..');
const directory = join(root, 'publisher/page');

/** The files of the page. `html` names the others as `/page.js` and `/page.css`. */
export interface PageFiles {
  html: string;
  js: string;
  css: string;
}

/** One script and one style sheet for browsers of the last two years: there is nothing else to load. @throws of esbuild. */
export async function buildPage(): Promise<PageFiles> {
  const [html, js, css] = await Promise.all([
    readFile(join(directory, 'index.html'), 'utf8'),
    script(),
    readFile(join(directory, 'page.css'), 'utf8'),
  ]);
  const style = await transform(css, { loader: 'css', minify: true, charset: 'utf8', target: TARGET });
  return { html: html.replace(/>\s+</g, '><').trim(), js, css: style.code };
}

/** They know light-dark(), popover and subgrid. */
const TARGET = ['chrome125', 'firefox128', 'safari18'];

async function script(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['publisher/page/page.tsx'],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: TARGET,
    charset: 'utf8',
    legalComments: 'none',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
  });
  return outputFiles[0]?.text ?? '';
}
