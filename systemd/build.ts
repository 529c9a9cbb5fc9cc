import { join } from 'node:path';
import { execa } from 'execa';
import packageJson from '../package.json' with { type: 'json' };
import { bundle, PROGRAMS, type ProgramName, root } from './bundle.ts';

/** `npm run build`: writes each program to dist/NAME.js, with the files beside it that it needs. */

const directory = join(root, 'dist');
for (const name of Object.keys(PROGRAMS) as ProgramName[]) {
  const { sizes } = await bundle(name, { directory, version: packageJson.version, sourcemap: true });
  await execa(process.execPath, [join(directory, `${name}.compile.js`)], { stdio: 'inherit' });
  process.stdout.write(`dist/${name}.js  ${(sizes.chunks / 1024 / 1024).toFixed(1)} MiB\n`);
}
