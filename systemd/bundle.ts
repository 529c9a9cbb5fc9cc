import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/**
 * Bundles a program into one file without dependencies. The same sources give the same bytes. The file is small,
 * because every start reads all of it: it has no comments and no indentation, and it is ASCII, because Node stores a
 * source with other characters in twice the memory.
 */

export const root = fileURLToPath(new URL('..', import.meta.url));

export const PROGRAMS = {
  'trigger-deploy': 'publisher/main.ts',
  'trigger-deploy-agent': 'agent/main.ts',
} as const;
export type ProgramName = keyof typeof PROGRAMS;

const SHEBANG = '#!/usr/bin/env node\n';
/** CommonJS dependencies (of the AWS SDK, yargs, pino) load Node's own modules with `require`, which ESM lacks. */
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
    // Prefer ES modules: esbuild bundles only their used parts, but all of a CommonJS module. The AWS SDK has both.
    mainFields: ['module', 'main'],
    minifyWhitespace: true,
    minifySyntax: true,
    // For an uncaught error Node prints the whole source line: keep lines short.
    lineLimit: 160,
    sourcemap: sourcemap && 'linked',
    banner: { js: hasShebang ? REQUIRE : SHEBANG + REQUIRE },
    plugins: [versionOnly(version), httpByRequire()],
    logLevel: 'warning',
  });
  await chmod(outfile, 0o755);
  return (await readFile(outfile)).length;
}

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
 * Loads node:http with `require`. An `import` reads all exports of node:http, and to read `WebSocket` Node loads
 * undici: this is an eighth of the start time, and neither program uses undici.
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
