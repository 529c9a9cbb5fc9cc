import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import type { Architecture } from './node-binary.ts';
import { EPOCH, type File, type Tree, text, writeTree } from './tree.ts';

/** The fields of a .deb's control file, and its other metadata. */
export interface DebOptions {
  name: string;
  version: string;
  architecture: Architecture;
  /** The first line is the synopsis. */
  description: string;
  depends: string;
  recommends?: string;
  section: string;
  /** Absolute paths within the tree. */
  conffiles?: readonly string[];
  /** `postinst`, `prerm`, `postrm`. */
  scripts?: Readonly<Record<string, File>>;
}

/** A version by Debian policy 5.6.12, without an epoch. What follows the last `-` is a revision. */
const VERSION = /^[0-9][A-Za-z0-9.+~-]*$/;

/** Builds `file` from `tree`; `directory` is an empty working directory. The same tree gives the same bytes. */
export async function buildDeb(
  file: string,
  tree: Tree,
  options: DebOptions,
  directory: string,
): Promise<void> {
  if (!VERSION.test(options.version)) throw new Error(`${options.version} is not a version of a .deb`);
  const contents = await Promise.all(
    [...tree].map(async ([path, { content }]) => ({
      path: path.slice(1),
      bytes: Buffer.isBuffer(content) ? content : await readFile(content.copyOf),
    })),
  );
  const size = contents.reduce((sum, { bytes }) => sum + Math.ceil(bytes.length / 1024), 0);
  const sums = contents
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, bytes }) => `${createHash('md5').update(bytes).digest('hex')}  ${path}\n`);
  const whole: Tree = new Map([
    ...tree,
    ['/DEBIAN/control', text(control(options, size))],
    ['/DEBIAN/md5sums', text(sums.join(''))],
    ...Object.entries(options.scripts ?? {}).map(([name, script]) => [`/DEBIAN/${name}`, script] as const),
  ]);
  if (options.conffiles) whole.set('/DEBIAN/conffiles', text(`${options.conffiles.join('\n')}\n`));
  await writeTree(whole, directory);
  // zstd builds a package in seconds; dpkg reads it since 1.21.18 (Debian 12). One thread: with more threads the bytes
  // would depend on the machine.
  await execa(
    'dpkg-deb',
    ['--root-owner-group', '-Zzstd', '-z6', '--threads-max=1', '--build', directory, file],
    { env: { SOURCE_DATE_EPOCH: String(EPOCH), LC_ALL: 'C.UTF-8' }, stdin: 'ignore' },
  );
}

function control(options: DebOptions, installedSize: number): string {
  const fields = {
    Package: options.name,
    Version: options.version,
    Architecture: options.architecture,
    Maintainer: 'trigger-deploy <trigger-deploy@localhost>',
    'Installed-Size': String(installedSize),
    Depends: options.depends,
    Recommends: options.recommends,
    Section: options.section,
    Priority: 'optional',
    Description: options.description.trim().replaceAll('\n', '\n '),
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
