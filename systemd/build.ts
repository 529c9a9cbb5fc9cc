import { join } from 'node:path';
import packageJson from '../package.json' with { type: 'json' };
import { bundle, PROGRAMS, type ProgramName, root } from './bundle.ts';

/** `npm run build`: writes each program to dist/NAME.js, with its source map beside it. */

for (const name of Object.keys(PROGRAMS) as ProgramName[]) {
  const outfile = join(root, 'dist', `${name}.js`);
  const bytes = await bundle(name, { outfile, version: packageJson.version, sourcemap: true });
  process.stdout.write(`dist/${name}.js  ${(bytes / 1024 / 1024).toFixed(1)} MiB\n`);
}
