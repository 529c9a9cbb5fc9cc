import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/** What the bundles have in place of some modules. */

const root = join(import.meta.dirname, '..');

export const bundlePlugins = (version: string): Plugin[] => [versionOnly(version), plainWidth()];

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
 * yargs measures its help with modules that know every script and all emoji. They take 45 ms to load, and the help of
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
