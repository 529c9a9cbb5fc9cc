import { TriggerDeployError } from '../../../shared/errors.ts';
import { bareRelation, isSamePackage, parseRelations, unmetBy } from './dependencies.ts';
import {
  ask,
  type Control,
  compareVersions,
  type Database,
  type DebFile,
  isSettled,
  type Known,
  known,
} from './dpkg.ts';

/**
 * Finds, before the service is stopped, what makes dpkg refuse .deb files, and what dpkg would do to other packages.
 * dpkg itself finds overlapping files and broken dependencies only after it has replaced files.
 */

const argv = {
  /** dpkg's own check of Conflicts, Breaks and Pre-Depends. It takes no lock and changes nothing. */
  tryInstall: (admin: string | undefined, files: readonly string[]) => [
    ...['dpkg', ...(admin === undefined ? [] : [`--admindir=${admin}`])],
    ...['--no-act', '--force-confdef', '--force-confold', '--force-downgrade', '--install', ...files],
  ],
  contents: (file: string) => ['dpkg-deb', '--contents', file],
  owners: (paths: readonly string[]) => ['dpkg-query', '--search', ...paths.map(quotePattern)],
  filesOf: (name: string) => ['dpkg-query', '--listfiles', name],
};
/** How many bytes of paths one command line gets. Linux allows 2 MiB, with the environment. */
const WORDS_LIMIT = 128 * 1024;

/**
 * @throws PACKAGE_CONFLICT if `debs` cannot be installed together over what is in the database: a package conflicts
 * with them or would be removed, another installed package needs the version that they replace, or a file belongs to
 * another package.
 */
export async function assertInstallable(debs: readonly DebFile[], at: Database): Promise<void> {
  const here = await known(at);
  const problem =
    (await refusedByDpkg(debs, at)) ??
    (await brokenDependent(debs, here, at)) ??
    (await overlap(debs, here, at));
  if (problem === undefined) return;
  throw new TriggerDeployError('PACKAGE_CONFLICT', problem.what, {
    hint: problem.hint,
    detail: problem.detail,
  });
}

interface Problem {
  what: string;
  hint: string;
  detail?: string;
}

const REMOVE_IT =
  'remove or upgrade the other package first; the agent changes no package that it does not deploy';

async function refusedByDpkg(debs: readonly DebFile[], at: Database): Promise<Problem | undefined> {
  const files = debs.map(({ file }) => file);
  const { exitCode, output } = await ask(argv.tryInstall(at.admin, files), at.signal);
  const removed = /yes, will remove (\S+) in favour of (\S+)/.exec(output);
  if (removed) {
    return {
      what: `dpkg would remove ${removed[1]} to install ${removed[2]}: they conflict`,
      hint: REMOVE_IT,
      detail: output,
    };
  }
  if (exitCode === 0) return undefined;
  const conflict = /^\s*(\S.*? (?:conflicts with|breaks) .*)$/m.exec(output)?.[1];
  const reason = conflict ?? /^dpkg: error processing .*\n\s*(\S.*)$/m.exec(output)?.[1];
  return {
    what: `dpkg would refuse ${debs.map(({ name, version }) => `${name} ${version}`).join(', ')}: ${
      reason ?? 'see its output'
    }`,
    hint: conflict === undefined ? 'read the output of dpkg' : REMOVE_IT,
    detail: output,
  };
}

/** An installed package whose dependency is met now, and would not be met with `debs`. */
async function brokenDependent(
  debs: readonly DebFile[],
  here: readonly Known[],
  at: Database,
): Promise<Problem | undefined> {
  const all = here.filter(isSettled);
  const replaced = all.filter((one) => debs.some((deb) => isSamePackage(deb, one)));
  const changed = new Set(replaced.flatMap((one) => [one.name, ...namesIn(one.provides)]));
  if (changed.size === 0) return undefined;
  const others = all.filter((one) => !replaced.includes(one));
  for (const other of others.filter(({ depends }) => namesIn(depends).some((name) => changed.has(name)))) {
    const after = await unmetBy(other, debs, at);
    if (after.length === 0) continue;
    const before = (await unmetBy(other, [], at)).map(bareRelation);
    const broken = after.filter((text) => !before.includes(bareRelation(text)));
    if (broken.length === 0) continue;
    return {
      what: `${other.name} ${other.version}, which is installed, needs ${broken.join('; ')}`,
      hint: 'push its new .deb together with this one, and name it under `companions` in the config',
    };
  }
  return undefined;
}

const namesIn = (relations: string) =>
  parseRelations(relations)
    .flat()
    .map(({ name }) => name);

/** A file that `debs` would write over a file of another package (Debian Policy 7.6.1: only Replaces allows it). */
async function overlap(
  debs: readonly DebFile[],
  here: readonly Known[],
  { admin, signal }: Database,
): Promise<Problem | undefined> {
  // A simulated database has no lists of files.
  if (admin !== undefined) return undefined;
  const ownerOf = new Map<string, DebFile>();
  const fresh: { deb: DebFile; path: string }[] = [];
  for (const deb of debs) {
    const own = new Set((await ask(argv.filesOf(deb.name), signal)).stdout.split('\n'));
    for (const path of await pathsIn(deb.file, signal)) {
      const other = ownerOf.get(path);
      if (other && !(await mayReplace(deb, other, signal)) && !(await mayReplace(other, deb, signal))) {
        return overlapping(path, deb, other);
      }
      ownerOf.set(path, deb);
      if (!own.has(path)) fresh.push({ deb, path });
    }
  }
  const found = await ownersOf(
    fresh.map(({ path }) => path),
    signal,
  );
  /** Two packages may share thousands of files: each pair is judged once. */
  const allowed = new Set<string>();
  for (const { deb, path } of fresh) {
    for (const name of found.get(path) ?? []) {
      const pair = `${deb.name} ${name}`;
      if (allowed.has(pair)) continue;
      const other = here.find(
        (one) =>
          [one.name, `${one.name}:${one.architecture}`].includes(name) &&
          !debs.some((mine) => isSamePackage(mine, one)),
      );
      // Packages of one name for several architectures share their files.
      if (other && other.name !== deb.name && !(await mayReplace(deb, other, signal))) {
        return overlapping(path, deb, other);
      }
      allowed.add(pair);
    }
  }
  return undefined;
}

function overlapping(path: string, deb: Control, other: Control): Problem {
  return {
    what: `${path} of ${deb.name} ${deb.version} belongs to ${other.name} ${other.version} too`,
    hint: `declare \`Replaces: ${other.name}\` in the package, or remove ${other.name} first`,
  };
}

/** Whether the Replaces field of `deb` names the package `other` in its version. */
async function mayReplace(deb: Control, other: Control, signal: AbortSignal): Promise<boolean> {
  for (const { name, version } of parseRelations(deb.replaces).flat()) {
    if (name !== other.name) continue;
    if (!version || (await compareVersions(other.version, version.relation, version.is, signal))) return true;
  }
  return false;
}

/** The absolute paths of everything in the .deb that is not a directory: packages share directories. */
async function pathsIn(file: string, signal: AbortSignal): Promise<string[]> {
  const { exitCode, stdout, output } = await ask(argv.contents(file), signal);
  if (exitCode !== 0) {
    throw new TriggerDeployError('PACKAGE_INVALID', `dpkg cannot read the files in ${file}`, {
      detail: output,
      hint: 'build the package again; if it is whole, this machine cannot read its compression',
    });
  }
  return parseContents(stdout);
}

/** Lines as of `tar --list --verbose`: `-rwxr-xr-x root/root 5 2026-01-02 10:20 ./usr/bin/x`. */
export function parseContents(text: string): string[] {
  const paths: string[] = [];
  for (const line of text.split('\n')) {
    const [, type, , path] = /^([-a-zA-Z])\S*(\s+\S+){4} (.*)$/.exec(line) ?? [];
    if (type === undefined || type === 'd' || path === undefined) continue;
    const [name = ''] = path.split(type === 'l' ? ' -> ' : type === 'h' ? ' link to ' : '\n');
    paths.push(name.replace(/^\.?\/*/, '/'));
  }
  return paths;
}

/** The names of the packages that own each path. A diverted path belongs to nobody (dpkg-divert(1)). */
async function ownersOf(paths: readonly string[], signal: AbortSignal): Promise<Map<string, string[]>> {
  const owners = new Map<string, string[]>();
  for (const some of inPieces(paths)) {
    const { stdout } = await ask(argv.owners(some), signal);
    for (const [path, names] of parseSearch(stdout)) owners.set(path, names);
  }
  return owners;
}

/** Lines of dpkg-query --search: `a, b:amd64: /path`, `diversion by a from: /path`, `local diversion to: /path`. */
export function parseSearch(text: string): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  const diverted = new Set<string>();
  for (const line of text.split('\n')) {
    const diversion = /^(?:diversion by \S+|local diversion) (from|to): (.*)$/.exec(line);
    if (diversion) {
      if (diversion[1] === 'from') diverted.add(diversion[2] ?? '');
      continue;
    }
    const [, names, path] = /^([a-z0-9][^/]*): (\/.*)$/.exec(line) ?? [];
    if (names !== undefined && path !== undefined) owners.set(path, names.split(', '));
  }
  for (const path of diverted) owners.delete(path);
  return owners;
}

/** dpkg-query takes an argument with one of these characters as a pattern. */
function quotePattern(path: string): string {
  return path.replaceAll(/[*?[\]\\]/g, '\\$&');
}

function* inPieces(paths: readonly string[]): Generator<string[]> {
  let [piece, bytes]: [string[], number] = [[], 0];
  for (const path of paths) {
    if (bytes > WORDS_LIMIT) {
      yield piece;
      [piece, bytes] = [[], 0];
    }
    piece.push(path);
    bytes += Buffer.byteLength(path) + 1;
  }
  if (piece.length > 0) yield piece;
}
