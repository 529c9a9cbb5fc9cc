import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/**
 * `npm run build`: each program as one file that runs alone, wherever it is copied, with its source map beside
 * it. The same sources give the same bytes.
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = join(root, 'dist');
const PROGRAMS = {
  'trigger-deploy': 'publisher/main.ts',
  'trigger-deploy-agent': 'agent/main.ts',
} as const;

const SHEBANG = '#!/usr/bin/env node\n';
/** CommonJS among the dependencies (the AWS SDK's, yargs', pino's) asks for Node's own modules by `require`. */
const REQUIRE = `import { createRequire as requireFor } from 'node:module';
const require = requireFor(import.meta.url);`;

/** Of package.json, the programs need the version; the rest would only make every bundle differ. */
const versionOnly: Plugin = {
  name: 'version-only',
  setup(build) {
    const contents = JSON.stringify({ name: packageJson.name, version: packageJson.version });
    build.onLoad({ filter: /\/package\.json$/ }, ({ path }) =>
      path === join(root, 'package.json') ? { contents, loader: 'json' } : undefined,
    );
  },
};

await rm(outdir, { recursive: true, force: true });
for (const [name, source] of Object.entries(PROGRAMS)) {
  // A shebang in the source stays on its first line, and two are a syntax error.
  const hasShebang = (await readFile(join(root, source), 'utf8')).startsWith('#!');
  const outfile = join(outdir, `${name}.js`);
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    sourcemap: 'linked',
    banner: { js: hasShebang ? REQUIRE : SHEBANG + REQUIRE },
    plugins: [versionOnly],
    logLevel: 'warning',
  });
  await chmod(outfile, 0o755);
  const { length } = await readFile(outfile);
  process.stdout.write(`dist/${name}.js  ${(length / 1024 / 1024).toFixed(1)} MiB\n`);
}
