import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Look, ServiceProcess, Shown } from '../../deploy/look-port.ts';
import { liesIn } from '../fs/trusted-path.ts';
import { argumentsOf, BETWEEN_PATHS, DELETED, viewProcess } from '../process/process-view.ts';
import type { Places } from './staging.ts';

/**
 * Finds which releases the processes of a service use. A program, a directory and an open file have a real path, which
 * names one release for as long as the process lives. An argument may lead through `current` or another link.
 */

/** So many files of a process, and so many of its arguments that lead through links, are looked at. */
const MOST_FILES = 4096;
const MOST_LINKS = 64;

interface Roots {
  /** The directory of the releases, as configured and as its real path. */
  releases: readonly string[];
  staging: readonly string[];
  /** What ran before trigger-deploy. */
  adopted: readonly string[];
  adoptedVersion: string | undefined;
}

/** `before` has the ids of the processes that started before the switch. Never throws. */
export async function lookAtReleases(
  places: Places,
  adopt: { path: string; version: string } | undefined,
  version: string,
  processes: readonly ServiceProcess[],
  before: ReadonlySet<string>,
): Promise<Look> {
  const roots: Roots = {
    releases: await spellings(places.releases),
    staging: await spellings(places.staging),
    adopted: adopt === undefined ? [] : await adoptedRoots(places, adopt.path),
    adoptedVersion: adopt?.version,
  };
  const shown: Shown[] = [];
  let hidden = 0;
  for (const process of processes) {
    const view = await viewProcess(process.pid, MOST_FILES);
    if (view.hidden) hidden += 1;
    const add = (found: Found | undefined, by: string) => {
      if (!found) return;
      const wanted = found.version === version;
      if (shown.some((one) => one.process === process && one.version === found.version)) return;
      shown.push({ process, wanted, version: found.version, by });
    };
    add(releaseOf(view.exe, roots), `its program ${view.exe}`);
    add(releaseOf(view.cwd, roots), `its working directory ${view.cwd}`);
    add(releaseOf(view.root, roots), `its root ${view.root}`);
    for (const path of view.opened) add(releaseOf(path, roots), `its open file ${path}`);
    const words = (await argumentsOf(process.pid)).flatMap((word) => [word, ...word.split(BETWEEN_PATHS)]);
    for (const word of words) add(namedIn(word, roots), `its argument ${word}`);
    // Where links led when the process started is not known of a process that started before the switch.
    if (before.has(process.id)) continue;
    const links = new Set(words.filter((word) => word.includes('/')));
    for (const word of [...links].slice(0, MOST_LINKS)) {
      const real = await realpath(resolve(view.cwd.replace(DELETED, ''), word)).catch(() => '');
      add(releaseOf(real, roots), `its argument ${word}`);
    }
  }
  return {
    shown,
    hidden,
    missing: `a file of ${places.release(version)}`,
    hint: `the service must be started by the path ${places.current}, not by the path of one release: correct its unit, its start command and its scripts`,
  };
}

/** `version` is undefined for a release that was removed. */
interface Found {
  version: string | undefined;
}

function releaseOf(path: string, roots: Roots): Found | undefined {
  for (const root of roots.releases) {
    if (!path.startsWith(`${root}/`)) continue;
    const [name = ''] = path.slice(root.length + 1).split('/');
    return { version: name.replace(DELETED, '') };
  }
  // A release is moved to the staging directory before its files are removed.
  const removed = path.endsWith(DELETED) && roots.staging.some((root) => path.startsWith(`${root}/`));
  if (removed) return { version: undefined };
  const real = path.replace(DELETED, '');
  const adopted = roots.adopted.some((root) => real === root || real.startsWith(`${root}/`));
  return adopted ? { version: roots.adoptedVersion } : undefined;
}

/** The release whose path is a part of the argument. */
function namedIn(word: string, roots: Roots): Found | undefined {
  for (const root of roots.releases) {
    const at = word.indexOf(`${root}/`);
    if (at === -1) continue;
    const [path = ''] = word.slice(at + root.length + 1).split(BETWEEN_PATHS);
    const [name = ''] = path.split('/');
    if (name !== '') return { version: name };
  }
  return releaseOf(word, roots);
}

/** What was adopted from `current` has its path no longer: that path leads to the release that is current now. */
async function adoptedRoots({ current, releases }: Places, path: string): Promise<string[]> {
  const roots = await spellings(path);
  const own = [current, ...(await spellings(releases))];
  return roots.some((root) => own.some((place) => liesIn(root, place))) ? [] : roots;
}

async function spellings(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  return real === path ? [path] : [path, real];
}
