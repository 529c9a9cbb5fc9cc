import { join } from 'node:path';
import { Script } from 'node:vm';
import {
  type Chunks,
  COMPILING,
  type Compiled,
  type Compiling,
  checksum,
  openDescribed,
} from './chunk-files.ts';

/**
 * Starts a bundled program: reads the chunks that it needs from `NAME.chunks`, and for each of them V8's compiled code
 * from `NAME.compiled`, which is absent until compile.ts has made it. Code that was compiled for other chunks or by
 * another Node, or that is damaged, is not used: then V8 compiles the chunk. Both files stay open, because an upgrade
 * may replace them while the program runs.
 */

/** The bundler puts the name of the program here. */
declare const PROGRAM: string;

type Chunk = (exports: object, require: (id: string) => unknown, module: { exports: object }) => void;

const path = join(__dirname, `${PROGRAM}.chunks`);
const { head, read } = openChunks();
const compiledFor = `${head.digest} ${process.version} ${process.arch}`;
const compiled = openCompiled();
const compiling = (globalThis as { [COMPILING]?: Compiling })[COMPILING];
if (compiling !== undefined) compiling.for = compiledFor;
// Node applies a source map only to a file that it has loaded itself.
const whole = process.sourceMapsEnabled ? (require(path) as Record<string, Chunk>) : undefined;
const modules = new Map<string, { exports: object }>();

load(head.entry);

function load(id: string): object {
  const known = modules.get(id);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  modules.set(id, module);
  const run = whole?.[id] ?? functionOf(id);
  run(module.exports, (name) => (name.startsWith('./') ? load(name.slice(2)) : require(name)), module);
  return module.exports;
}

function functionOf(id: string): Chunk {
  const place = head.chunks[id];
  if (place === undefined) throw new Error(`${path} has no ${id}`);
  const [offset, length, line] = place;
  const script = new Script(read(offset, length).toString('latin1'), {
    filename: path,
    lineOffset: line - 1,
    cachedData: compiledOf(id),
  });
  compiling?.scripts.set(id, script);
  return script.runInThisContext() as Chunk;
}

function openChunks() {
  try {
    return openDescribed<Chunks>(path);
  } catch (error) {
    const { message } = error as Error;
    process.stderr.write(`${PROGRAM}: cannot read ${path}, which is a part of the program: ${message}\n`);
    process.exit(1);
  }
}

function openCompiled() {
  try {
    const opened = openDescribed<Compiled>(join(__dirname, `${PROGRAM}.compiled`));
    return opened.head.for === compiledFor ? opened : undefined;
  } catch {
    return undefined;
  }
}

function compiledOf(id: string): Buffer | undefined {
  const place = compiled?.head.code[id];
  if (place === undefined) return undefined;
  try {
    const [offset, length, sum] = place;
    const bytes = compiled?.read(offset, length);
    return bytes !== undefined && checksum(bytes) === sum ? bytes : undefined;
  } catch {
    return undefined;
  }
}
