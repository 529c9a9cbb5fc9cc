import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import { root } from './bundle.ts';
import { ARCHITECTURES } from './node-binary.ts';
import { PACKAGES, type PackageKind } from './packages.ts';

/**
 * `npm run package`: makes the .deb packages of both programs and the agent's .tar.gz, for each architecture, in dist/.
 * The same sources give the same bytes.
 */

const { values } = parseArgs({
  options: {
    /** A version other than the one in package.json. */
    version: { type: 'string', default: packageJson.version },
    /** `--arch` and `--only` restrict the run to these architectures and these kinds of package. */
    arch: { type: 'string', multiple: true, default: [...ARCHITECTURES] },
    only: { type: 'string', multiple: true, default: Object.keys(PACKAGES) },
    out: { type: 'string', default: join(root, 'dist') },
  },
});

const known = <T extends string>(given: string[], all: readonly T[], what: string): T[] =>
  given.map((name) => {
    const found = all.find((one) => one === name);
    if (found === undefined) throw new Error(`--${what} must be one of ${all.join(', ')}, not ${name}`);
    return found;
  });

const out = resolve(values.out);
const cache = join(root, 'node_modules/.cache/trigger-deploy');
await mkdir(out, { recursive: true });
await mkdir(cache, { recursive: true });
const working = await mkdtemp(join(cache, 'package-'));
try {
  for (const kind of known(values.only, Object.keys(PACKAGES) as PackageKind[], 'only')) {
    for (const architecture of known(values.arch, ARCHITECTURES, 'arch')) {
      const directory = join(working, `${kind}-${architecture}`);
      await mkdir(directory);
      const file = await PACKAGES[kind]({ version: values.version, architecture, out, directory });
      await rm(directory, { recursive: true });
      process.stdout.write(`${file}\n`);
    }
  }
} finally {
  await rm(working, { recursive: true, force: true });
}
