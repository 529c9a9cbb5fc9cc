import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/**
 * Bundles a program into one file without dependencies. The same sources give the same bytes. The file is ASCII without
 * comments and indentation: every start reads it whole, and Node doubles the size of a source with any other character.
 */

export const root = fileURLToPath(new URL('..', import.meta.url));

export const PROGRAMS = {
  'trigger-deploy': 'publisher/main.ts',
  'trigger-deploy-agent': 'agent/main.ts',
} as const;
export type ProgramName = keyof typeof PROGRAMS;

const SHEBANG = '#!/usr/bin/env node\n';
/** CommonJS dependencies (of the AWS SDK, yargs, pino) load Node's own modules with `require`. */
const REQUIRE = `import { createRequire as requireFor } from 'node:module';
const require = requireFor(import.meta.url);`;

/** Writes `outfile`, with its source map beside it if requested; resolves to its size in bytes. */
export async function bundle(
  name: ProgramName,
  { outfile, version, sourcemap }: { outfile: string; version: string; sourcemap: boolean },
): Promise<number> {
  const source = PROGRAMS[name];
  // A shebang of the source stays on the first line; two shebangs are a syntax error.
  const hasShebang = (await readFile(join(root, source), 'utf8')).startsWith('#!');
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    // Of an ES module only what is used gets into the bundle; of CommonJS, which the AWS SDK has as well, everything.
    mainFields: ['module', 'main'],
    minifyWhitespace: true,
    minifySyntax: true,
    // Node prints the whole line of an error that nobody caught.
    lineLimit: 160,
    sourcemap: sourcemap && 'linked',
    banner: { js: hasShebang ? REQUIRE : SHEBANG + REQUIRE },
    plugins: [versionOnly(version), httpByRequire()],
    logLevel: 'warning',
  });
  await chmod(outfile, 0o755);
  return (await readFile(outfile)).length;
}

/** The programs need only the version of package.json; the rest would make every bundle differ. */
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
 * An `import` of node:http reads all its exports, which loads undici for `WebSocket`: an eighth of the start time of
 * a program that never uses it. `require` does not.
 */
function httpByRequire(): Plugin {
  return {
    name: 'http-by-require',
    setup(build) {
      build.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
        kind === 'require-call' ? undefined : { path: 'http', namespace: 'by-require' },
      );
      build.onLoad({ filter: /./, namespace: 'by-require' }, () => ({
        contents: "module.exports = require('node:http');",
      }));
    },
  };
}
