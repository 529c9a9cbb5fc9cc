import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };
import { buildPage } from './page-bundle.ts';

/** What the bundles have in place of some modules. */

const root = join(import.meta.dirname, '..');

export const bundlePlugins = (version: string): Plugin[] => [
  versionOnly(version),
  plainWidth(),
  droppableSchemas(),
  consolePage(),
];

/** Bundles only name and version of package.json: any other change of package.json must not change the bundles. */
function versionOnly(version: string): Plugin {
  const contents = JSON.stringify({ name: packageJson.name, version });
  return {
    name: 'version-only',
    setup(build) {
      build.onLoad({ filter: /\/package\.json$/ }, ({ path }) =>
        path === join(root, 'package.json') ? { contents, loader: 'json' } : undefined,
      );
    },
  };
}

/**
 * yargs measures its help with modules that know every script and all emoji. They take some 40 ms to load, and the help of
 * both programs is ASCII.
 */
const PLAIN: Readonly<Record<string, string>> = {
  'string-width': 'export default (text) => text.length;',
  'strip-ansi': 'export default (text) => text;',
};

function plainWidth(): Plugin {
  return {
    name: 'plain-width',
    setup(build) {
      build.onResolve({ filter: /^(string-width|strip-ansi)$/ }, ({ path }) => ({
        path,
        namespace: 'plain',
      }));
      build.onLoad({ filter: /./, namespace: 'plain' }, ({ path }) => ({ contents: PLAIN[path] ?? '' }));
    },
  };
}

/**
 * Lets esbuild drop the descriptions of the requests that no program makes: 80 to 90 kB of each. A client of the SDK has one for each
 * request of its service, as an array. esbuild keeps an array with a computed key (`[_h]: …`), because to compute a key
 * may have an effect. Here each is the name of a constant string: the string is put in its place.
 */
function droppableSchemas(): Plugin {
  return {
    name: 'droppable-schemas',
    setup(build) {
      build.onLoad({ filter: /\/@aws-sdk\/.*\/schemas_\d+\.js$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        const constants = new Map(
          [...source.matchAll(/^const (\w+) = ("[^"\\]*");$/gm)].map(([, name = '', text = '']) => [
            name,
            text,
          ]),
        );
        const contents = source.replace(/\[(\w+)\]:/g, (key, name: string) => {
          const text = constants.get(name);
          return text === undefined ? key : `${text}:`;
        });
        return { contents, loader: 'js' };
      });
    },
  };
}

/** An error prints a whole line of the bundle: text is cut to pieces of this length. */
const PIECE = 120;

/** Puts the files of the page into the bundle, as text. */
function consolePage(): Plugin {
  return {
    name: 'console-page',
    setup(build) {
      build.onLoad({ filter: /\/publisher\/console\/http\/page-source\.ts$/ }, async () => {
        const files = (await buildPage()).map(({ path, type, brotli }) => {
          const pieces = brotli.match(new RegExp(`.{1,${PIECE}}`, 'g')) ?? [];
          return `{path:${JSON.stringify(path)},type:${JSON.stringify(type)},brotli:${JSON.stringify(pieces, undefined, 1)}.join('')}`;
        });
        return { contents: `export const pageFiles=async()=>[${files.join(',')}];`, loader: 'js' };
      });
    },
  };
}
