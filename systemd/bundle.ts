import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/** A program as one file that runs alone, wherever it is copied. The same sources give the same bytes. */

export const root = fileURLToPath(new URL('..', import.meta.url));

export const PROGRAMS = {
  'trigger-deploy': 'publisher/main.ts',
  'trigger-deploy-agent': 'agent/main.ts',
} as const;
export type ProgramName = keyof typeof PROGRAMS;

const SHEBANG = '#!/usr/bin/env node\n';
/** CommonJS among the dependencies (the AWS SDK's, yargs', pino's) asks for Node's own modules by `require`. */
const REQUIRE = `import { createRequire as requireFor } from 'node:module';
const require = requireFor(import.meta.url);`;

/** Writes `outfile`, with its source map beside it where that is asked for; resolves to its size in bytes. */
export async function bundle(
  name: ProgramName,
  { outfile, version, sourcemap }: { outfile: string; version: string; sourcemap: boolean },
): Promise<number> {
  const source = PROGRAMS[name];
  // A shebang in the source stays on its first line, and two are a syntax error.
  const hasShebang = (await readFile(join(root, source), 'utf8')).startsWith('#!');
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    sourcemap: sourcemap && 'linked',
    banner: { js: hasShebang ? REQUIRE : SHEBANG + REQUIRE },
    plugins: [versionOnly(version), httpByRequire()],
    logLevel: 'warning',
  });
  await chmod(outfile, 0o755);
  return (await readFile(outfile)).length;
}

/** Of package.json, the programs need the version; the rest would only make every bundle differ. */
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
 * An `import` of node:http reads all it exports, `WebSocket` among it, and so loads undici: an eighth of the start of
 * a program that never asks for it. `require` reads nothing.
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
