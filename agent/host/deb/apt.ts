import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../process/run-command.ts';

/** Downloads and simulations by apt. Installs nothing, and takes none of apt's locks. */

const SIMULATE_TIMEOUT_MS = 120_000;
const DOWNLOAD_TIMEOUT_MS = 600_000;

const aptArgv = {
  /**
   * Downloads each `name=version` into the working directory. It runs as root, because apt's own user `_apt` cannot
   * write to the staging directory.
   */
  download: (wanted: readonly string[]) => [
    ...['apt-get', '--quiet', '--option=APT::Sandbox::User=root', '--option=Acquire::Retries=3', 'download'],
    ...wanted,
  ],
  simulate: (debs: readonly string[]) => [
    ...['apt-get', '--quiet', '--simulate', '--no-install-recommends', '--allow-downgrades'],
    ...['--option=APT::Sandbox::User=root', 'install', ...debs],
  ],
};

/** What apt would do to install .deb files: `name=version` of packages to install, names of packages to remove. */
export interface Plan {
  install: string[];
  remove: string[];
}

/** The `Inst NAME [old] (VERSION …` and `Remv NAME …` lines of a simulation. */
export function parsePlan(text: string): Plan {
  const plan: Plan = { install: [], remove: [] };
  for (const line of text.split('\n')) {
    const [, name, version] = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /.exec(line) ?? [];
    if (name !== undefined) plan.install.push(`${name}=${version}`);
    const [, removed] = /^Remv (\S+)/.exec(line) ?? [];
    if (removed !== undefined) plan.remove.push(removed);
  }
  return plan;
}

/** apt's plan for the files, or its output as a string where it has no plan. */
export async function planFor(debs: readonly string[], signal: AbortSignal): Promise<Plan | string> {
  const { exitCode, stdout, output } = await runCommand(aptArgv.simulate(debs), {
    signal,
    timeout: SIMULATE_TIMEOUT_MS,
    env: { LC_ALL: 'C' },
  });
  return exitCode === 0 ? parsePlan(stdout) : output;
}

/** Downloads all of `wanted` into the empty `directory`. Returns their paths; after a failure apt's output. */
export async function download(
  wanted: readonly string[],
  directory: string,
  signal: AbortSignal,
): Promise<string[] | string> {
  const { exitCode, output } = await runCommand(aptArgv.download(wanted), {
    signal,
    timeout: DOWNLOAD_TIMEOUT_MS,
    cwd: directory,
    env: { LC_ALL: 'C' },
  });
  const names = (await readdir(directory)).filter((name) => name.endsWith('.deb'));
  if (exitCode !== 0 || names.length < wanted.length) return output;
  return names.map((name) => join(directory, name));
}
