import {
  architecture,
  type Control,
  compareVersions,
  type Database,
  isSettled,
  type Known,
  known,
} from './dpkg.ts';

/**
 * Finds unmet dependencies before the service is stopped. dpkg itself reports them only when it configures the package,
 * after it has replaced the files. Debian Policy 7.1 (relations), 7.5 (virtual packages).
 */

interface Relation {
  name: string;
  /** `any`, or an architecture, as in `python3:any`. */
  qualifier: string | undefined;
  version: { relation: string; is: string } | undefined;
}

/** Parses `a (>= 1) | b, c` into groups of alternatives. A group is met when one of its alternatives is met. */
export function parseRelations(text: string): Relation[][] {
  const groups = text.split(',').map((group) => group.split('|').flatMap((one) => parseRelation(one.trim())));
  return groups.filter((group) => group.length > 0);
}

function parseRelation(text: string): Relation[] {
  const [, name, qualifier, relation, is] =
    /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?/.exec(text) ??
    [];
  if (name === undefined) return [];
  return [{ name, qualifier, version: relation && is ? { relation, is } : undefined }];
}

/**
 * The dependencies of `deb` that are met neither by this machine nor by `beside`, the .deb files that are installed
 * together with it. As texts for a message.
 */
export async function unmetBy(deb: Control, beside: readonly Control[], at: Database): Promise<string[]> {
  const { signal } = at;
  const groups = parseRelations(deb.depends);
  if (groups.length === 0) return [];
  const native = await architecture(signal);
  const names = groups.flat().map(({ name }) => name);
  // A package that is installed beside `deb` replaces the one of this name.
  const isReplaced = (one: Control) => beside.some((other) => isSamePackage(one, other));
  const kept = (all: Known[]) => all.filter((one) => isSettled(one) && !isReplaced(one));
  const here = kept(await known(at, ...names));
  const offered: Control[] = [...here, ...beside];
  const unmet: string[] = [];
  let all: Control[] | undefined;
  for (const group of groups) {
    if (await isMet(group, offered, native, signal)) continue;
    // A virtual package may meet it. This is rare, so the list of all packages is read only here.
    all ??= [...kept(await known(at)), ...beside];
    if (await isMet(group, all, native, signal)) continue;
    unmet.push(`${group.map(text).join(' | ')}${found(group, offered)}`);
  }
  return unmet;
}

async function isMet(
  group: readonly Relation[],
  offered: readonly Control[],
  native: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (const relation of group) {
    for (const one of offered.filter((known) => fits(known, relation, native))) {
      for (const version of versionsOf(one, relation.name)) {
        if (relation.version === undefined) return true;
        const { relation: operator, is } = relation.version;
        if (version && (await compareVersions(version, operator, is, signal))) return true;
      }
    }
  }
  return false;
}

function fits({ architecture, multiArch }: Control, { qualifier }: Relation, native: string): boolean {
  if (architecture === 'all' || multiArch === 'foreign') return true;
  if (qualifier === 'any') return multiArch === 'allowed';
  return architecture === (qualifier === undefined || qualifier === 'native' ? native : qualifier);
}

/** The versions of `name` that the package `one` offers; undefined stands for a virtual name without a version. */
function versionsOf(one: Control, name: string): (string | undefined)[] {
  const provided = parseRelations(one.provides)
    .flat()
    .filter((relation) => relation.name === name)
    .map((relation) => relation.version?.is);
  return one.name === name ? [one.version, ...provided] : provided;
}

/** A text of `unmetBy` without the versions that were found. */
export function bareRelation(unmet: string): string {
  return unmet.replace(/, found .*$/, '');
}

/** Whether only one of the two can be installed: the same package, for the same architecture or for all. */
export function isSamePackage(a: Control, b: Control): boolean {
  return a.name === b.name && [a.architecture, 'all'].some((one) => [b.architecture, 'all'].includes(one));
}

function text({ name, qualifier, version }: Relation): string {
  const full = qualifier === undefined ? name : `${name}:${qualifier}`;
  return version === undefined ? full : `${full} (${version.relation} ${version.is})`;
}

/** `, found 1.0`: the versions of the packages in the group that are there; empty if there is none. */
function found(group: readonly Relation[], here: readonly Control[]): string {
  const others = here.filter((one) => group.some(({ name }) => name === one.name));
  return others.length === 0 ? '' : `, found ${others.map(({ version }) => version).join(', ')}`;
}
