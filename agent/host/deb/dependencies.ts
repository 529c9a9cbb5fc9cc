import { architecture, compareVersions, type DebFile, isSettled, type Known, known } from './dpkg.ts';

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
export async function unmetBy(
  deb: DebFile,
  beside: readonly DebFile[],
  signal: AbortSignal,
): Promise<string[]> {
  const groups = parseRelations(deb.depends);
  if (groups.length === 0) return [];
  const native = await architecture(signal);
  const names = groups.flat().map(({ name }) => name);
  const here = (await known(signal, ...names)).filter(isSettled);
  const offered = [...here, ...beside.map(asInstalled)];
  const unmet: string[] = [];
  let all: Known[] | undefined;
  for (const group of groups) {
    if (await isMet(group, offered, native, signal)) continue;
    // A virtual package may meet it. This is rare, so the list of all packages is read only here.
    all ??= [...(await known(signal)).filter(isSettled), ...offered];
    if (await isMet(group, all, native, signal)) continue;
    unmet.push(`${group.map(text).join(' | ')}${found(group, here)}`);
  }
  return unmet;
}

async function isMet(
  group: readonly Relation[],
  offered: readonly Known[],
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

function fits({ architecture, multiArch }: Known, { qualifier }: Relation, native: string): boolean {
  if (architecture === 'all' || multiArch === 'foreign') return true;
  if (qualifier === 'any') return multiArch === 'allowed';
  return architecture === (qualifier === undefined || qualifier === 'native' ? native : qualifier);
}

/** The versions of `name` that the package `one` offers; undefined stands for a virtual name without a version. */
function versionsOf(one: Known, name: string): (string | undefined)[] {
  const provided = parseRelations(one.provides)
    .flat()
    .filter((relation) => relation.name === name)
    .map((relation) => relation.version?.is);
  return one.name === name ? [one.version, ...provided] : provided;
}

function asInstalled({ name, version, architecture }: DebFile): Known {
  return { name, version, architecture, status: 'installed', broken: false, multiArch: '', provides: '' };
}

function text({ name, qualifier, version }: Relation): string {
  const full = qualifier === undefined ? name : `${name}:${qualifier}`;
  return version === undefined ? full : `${full} (${version.relation} ${version.is})`;
}

/** `, found 1.0`: the installed versions of the packages in the group; empty if none is installed. */
function found(group: readonly Relation[], here: readonly Known[]): string {
  const others = here.filter((one) => group.some(({ name }) => name === one.name));
  return others.length === 0 ? '' : `, found ${others.map(({ version }) => version).join(', ')}`;
}
