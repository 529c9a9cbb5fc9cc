import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type OutputFile, transform } from 'esbuild';
import { bundlePlugins } from './bundle-plugins.ts';
import { type Chunks, described } from './chunk-files.ts';

/**
 * Bundles a program into files without dependencies. The same sources give the same bytes. The code is small, because
 * each start reads it: it has no comments and no indentation, and it is ASCII, because Node stores a source with other
 * characters in twice the memory.
 *
 * - `NAME.js`: the loader (loader.ts), which Node starts
 * - `NAME.chunks`: all code of the program, in chunks of which the loader runs only those that a command needs. It is one
 *   file, so that a program that runs for long can load the rest of it after an upgrade has replaced it
 * - `NAME.compile.js`: writes `NAME.compiled` on the machine where the program runs (compile.ts)
 */

export const root = fileURLToPath(new URL('..', import.meta.url));

export const PROGRAMS = {
  'trigger-deploy': 'publisher/main.ts',
  'trigger-deploy-agent': 'agent/main.ts',
} as const;
export type ProgramName = keyof typeof PROGRAMS;

/** The settings of every esbuild run. For an uncaught error Node prints the whole source line: keep lines short. */
const COMMON = {
  legalComments: 'none',
  platform: 'node',
  target: 'node22',
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  logLevel: 'warning',
} as const;
/** Makes each chunk a function of the loader's `require`. */
const WRAPPER = ['(function(exports,require,module){', '})'] as const;

export interface Bundle {
  /** The size of each file, bytes. */
  sizes: Readonly<Record<'loader' | 'chunks', number>>;
  /** What esbuild says about the chunks: which sources each has, and which other chunks it imports. */
  metafile: Metafile;
  /** The chunk that the program starts with: a key of `metafile.outputs`. */
  entry: string;
}

export interface BundleOptions {
  directory: string;
  version: string;
  /** Whether to write `NAME.chunks.map`, too. */
  sourcemap: boolean;
}

/**
 * Writes the files of a program into `directory`. A program that runs from there is not disturbed: each file is replaced
 * as a whole.
 */
export async function bundle(
  name: ProgramName,
  { directory, version, sourcemap }: BundleOptions,
): Promise<Bundle> {
  await mkdir(directory, { recursive: true });
  const { outputFiles, metafile } = await build({
    ...COMMON,
    absWorkingDir: root,
    entryPoints: [PROGRAMS[name]],
    // Only a part of the names of the chunks: nothing is written there.
    outdir: join(root, 'dist'),
    write: false,
    metafile: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    // Prefer ES modules: esbuild bundles only their used parts, but all of a CommonJS module. The AWS SDK has both.
    mainFields: ['module', 'main'],
    sourcemap: sourcemap && 'inline',
    // yargs looks there for translations of its texts.
    define: { 'import.meta.url': '"file:///nonexistent/1/2/3/4"' },
    plugins: bundlePlugins(version),
  });
  const entry = Object.keys(metafile.outputs).find(
    (one) => metafile.outputs[one]?.entryPoint === PROGRAMS[name],
  );
  if (entry === undefined) throw new Error(`esbuild made no chunk of ${PROGRAMS[name]}`);
  const chunks = await Promise.all(outputFiles.map((file) => asFunction(file, sourcemap)));
  const packed = pack(basename(entry), chunks);
  const map = sourcemap ? `//# sourceMappingURL=${name}.chunks.map\n` : '';
  const loader = await loaderOf(name, 'loader.ts');
  const files = {
    // The loader is CommonJS: of the two kinds of module it starts faster, and only a CommonJS script can be cached.
    'package.json': '{ "type": "commonjs" }\n',
    [`${name}.chunks`]: packed.text + map,
    // Node does not read a map without `sources`.
    ...(sourcemap && {
      [`${name}.chunks.map`]: JSON.stringify({ version: 3, sources: [], sections: packed.sections }),
    }),
    [`${name}.compile.js`]: await loaderOf(name, 'compile.ts'),
    [`${name}.js`]: loader,
  };
  for (const [file, text] of Object.entries(files)) {
    const path = join(directory, file);
    const mode = file === `${name}.js` ? 0o755 : 0o644;
    await writeFile(`${path}.${process.pid}.tmp`, text, { mode });
    await rename(`${path}.${process.pid}.tmp`, path);
  }
  return { sizes: { loader: loader.length, chunks: packed.text.length }, metafile, entry };
}

interface Chunk {
  id: string;
  code: string;
  map: string;
}

/**
 * An output of esbuild as the function of a CommonJS module. esbuild splits ES modules only, and of those V8's compiled
 * code cannot be stored. An `import()` becomes a `require` in a promise.
 */
async function asFunction({ path, text }: OutputFile, sourcemap: boolean): Promise<Chunk> {
  const [banner, footer] = WRAPPER;
  const { code, map } = await transform(text.replace(/^#!.*/, ''), {
    ...COMMON,
    loader: 'js',
    format: 'cjs',
    supported: { 'dynamic-import': false },
    sourcemap: sourcemap && 'external',
    sourcefile: basename(path),
    banner,
    footer,
  });
  return { id: basename(path), code: code.trimEnd(), map };
}

/**
 * All chunks as one script whose value is an object of functions. Its first line is a comment with the place of each
 * function, so that the loader can read and compile one of them alone, with its own line numbers.
 */
function pack(entry: string, chunks: readonly Chunk[]): { text: string; sections: object[] } {
  const sorted = chunks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const digest = createHash('sha256');
  const places: Chunks['chunks'] = {};
  const sections: object[] = [];
  let body = '\nmodule.exports={\n';
  let line = 2;
  for (const { id, code, map } of sorted) {
    digest.update(`${id}\n${code}\n`);
    const key = `${JSON.stringify(id)}:\n`;
    places[id] = [body.length + key.length, code.length, line + 1];
    if (map !== '') sections.push({ offset: { line: line + 1, column: 0 }, map: JSON.parse(map) });
    body += `${key}${code},\n`;
    line += 2 + code.split('\n').length - 1;
  }
  const first = described({ digest: digest.digest('hex').slice(0, 16), entry, chunks: places });
  return { text: `${first}${body}};\n`, sections };
}

/** A script that runs without the program's chunks: the loader, or what makes the compiled code. */
async function loaderOf(name: ProgramName, file: 'loader.ts' | 'compile.ts'): Promise<string> {
  const { outputFiles } = await build({
    ...COMMON,
    absWorkingDir: root,
    entryPoints: [join('systemd', file)],
    write: false,
    bundle: true,
    format: 'cjs',
    define: { PROGRAM: JSON.stringify(name) },
    ...(file === 'loader.ts' && { banner: { js: '#!/usr/bin/env node' } }),
  });
  return outputFiles[0]?.text ?? '';
}
