import { TriggerDeployError } from '../../../shared/errors.ts';
import { type RunResult, runCommand } from '../process/run-command.ts';

/**
 * Queries to dpkg (dpkg-query(1), dpkg-deb(1)). They need no lock, change nothing, and run no code of a package.
 */

/** What a package says of itself and of other packages, as in its control file. */
export interface Control {
  name: string;
  architecture: string;
  /** With its epoch. */
  version: string;
  multiArch: string;
  /** `mail-transport-agent, libfoo (= 1.2)`. */
  provides: string;
  /** Depends and Pre-Depends, as one list. */
  depends: string;
  conflicts: string;
  breaks: string;
  replaces: string;
}

/** A package in dpkg's database. */
export interface Known extends Control {
  /** `installed`, `half-configured`, `unpacked`, `half-installed`, `triggers-awaited`, `config-files`, … */
  status: string;
  /** dpkg(1) `reinst-required`: the package has to be installed again. */
  broken: boolean;
}

/** A .deb file. */
export interface DebFile extends Control {
  file: string;
  /** bytes */
  installedSize: number;
}

/** What a query reads: the database of this machine or, for a simulation, the one in the directory `admin`. */
export interface Database {
  signal: AbortSignal;
  admin?: string | undefined;
}

const CALL_TIMEOUT_MS = 30_000;
/** The packages of a machine: 100 bytes to 1 KB for each. */
const DATABASE_LIMIT = 64 * 1024 * 1024;
const RELATIONS = ['Provides', 'Conflicts', 'Breaks', 'Replaces', 'Pre-Depends', 'Depends'] as const;
const FIELDS = [
  'Package',
  'Architecture',
  'Version',
  'db:Status-Status',
  'db:Status-Eflag',
  'Multi-Arch',
  ...RELATIONS,
] as const;
const FORMAT = `${FIELDS.map((field) => `\${${field}}`).join('\\t')}\\n`;

const dpkgArgv = {
  /** Shows all packages if there are no names. */
  show: (admin: string | undefined, ...names: string[]) => [
    ...['dpkg-query', ...(admin === undefined ? [] : [`--admindir=${admin}`])],
    ...['--show', `--showformat=${FORMAT}`, ...names],
  ],
  field: (file: string) => [
    ...['dpkg-deb', '--field', file, 'Package', 'Version', 'Architecture', 'Multi-Arch'],
    ...['Installed-Size', ...RELATIONS],
  ],
  architecture: ['dpkg', '--print-architecture'],
  foreign: ['dpkg', '--print-foreign-architectures'],
  /** Exits with 0 where the relation holds, with 1 where it does not. */
  compare: (a: string, relation: string, b: string) => ['dpkg', '--compare-versions', a, relation, b],
};

/** The version without its epoch; version names of trigger-deploy have none. */
export function bareVersion(version: string): string {
  return version.replace(/^\d+:/, '');
}

/** Whether the package is unpacked and configured. A package with only triggers left to run counts as settled. */
export function isSettled({ status, broken }: Known): boolean {
  return !broken && (status === 'installed' || status.startsWith('triggers-'));
}

/** Whether any of its files are installed; conffiles left by a removal do not count. */
export function isThere({ status }: Known): boolean {
  return status !== 'config-files' && status !== 'not-installed';
}

export function parseShow(text: string): Known[] {
  const rows = text.split('\n').map((line) => line.split('\t'));
  return rows
    .filter((row) => row.length === FIELDS.length)
    .map((row) => {
      const value = (name: (typeof FIELDS)[number]) => row[FIELDS.indexOf(name)] ?? '';
      return {
        ...controlOf(value),
        status: value('db:Status-Status'),
        broken: value('db:Status-Eflag') === 'reinstreq',
      };
    });
}

function controlOf(value: (name: (typeof FIELDS)[number]) => string): Control {
  return {
    name: value('Package'),
    architecture: value('Architecture'),
    version: value('Version'),
    multiArch: value('Multi-Arch'),
    provides: value('Provides'),
    depends: [value('Pre-Depends'), value('Depends')].filter((list) => list !== '').join(', '),
    conflicts: value('Conflicts'),
    breaks: value('Breaks'),
    replaces: value('Replaces'),
  };
}

/** Fields of a control file, continuation lines joined. */
export function parseControl(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.replaceAll(/\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** The packages with these names in dpkg's database; all its packages if there are no names. */
export async function known({ signal, admin }: Database, ...names: string[]): Promise<Known[]> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.show(admin, ...names), signal);
  // Exit code 1 means that at least one name is unknown. Silence is no answer: it must not count as "not installed".
  const isAnswered = exitCode === 0 ? stdout !== '' || names.length === 0 : exitCode === 1 && output !== '';
  if (!isAnswered) throw notAnswered('dpkg-query', output);
  return parseShow(stdout);
}

/** The package for this machine's architecture; undefined if none of its files are installed. */
export async function installed(name: string, from: Database): Promise<Known | undefined> {
  const [found, native] = [await known(from, name), await architecture(from.signal)];
  return found.filter(isThere).find((one) => one.architecture === 'all' || one.architecture === native);
}

/** Whether all of `debs` are installed, in exactly these versions, and configured. */
export async function areInstalled(debs: readonly Control[], from: Database): Promise<boolean> {
  for (const deb of debs) {
    const here = await installed(deb.name, from);
    if (here?.version !== deb.version || !isSettled(here)) return false;
  }
  return true;
}

/** The architecture of this machine. It never changes, so dpkg is asked once. */
export async function architecture(signal: AbortSignal): Promise<string> {
  if (native !== undefined) return native;
  const { exitCode, stdout, output } = await ask(dpkgArgv.architecture, signal);
  const name = stdout.trim();
  if (exitCode !== 0 || name === '') throw notAnswered('dpkg --print-architecture', output);
  native = name;
  return native;
}
let native: string | undefined;

/** The architectures whose packages this machine installs; its own is the first. */
export async function architectures(signal: AbortSignal): Promise<string[]> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.foreign, signal);
  if (exitCode !== 0) throw notAnswered('dpkg --print-foreign-architectures', output);
  return [await architecture(signal), ...stdout.split('\n').filter((line) => line !== '')];
}

/** The control fields of a .deb; `called` names the file in messages. @throws PACKAGE_INVALID if it is not a .deb. */
export async function inspectDeb(file: string, called: string, signal: AbortSignal): Promise<DebFile> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.field(file), signal);
  const fields = parseControl(stdout);
  const [name, version] = [fields.get('Package'), fields.get('Version')];
  if (exitCode !== 0 || !name || !version) {
    throw new TriggerDeployError('PACKAGE_INVALID', `${called} is not a Debian package`, { detail: output });
  }
  return {
    ...controlOf((field) => fields.get(field) ?? ''),
    file,
    installedSize: 1024 * (Number.parseInt(fields.get('Installed-Size') ?? '', 10) || 0),
  };
}

/** `relation` is an operator of dpkg --compare-versions: `>=`, `<<`, `ge`, … */
export async function compareVersions(
  a: string,
  relation: string,
  b: string,
  signal: AbortSignal,
): Promise<boolean> {
  return (await ask(dpkgArgv.compare(a, relation, b), signal)).exitCode === 0;
}

/** @throws COMMAND_FAILED if the program cannot be started. */
export function ask(argv: readonly string[], signal: AbortSignal): Promise<RunResult> {
  // C.UTF-8: tar escapes the letters of other languages in file names otherwise.
  const env = { LC_ALL: 'C.UTF-8' };
  return runCommand(argv, { signal, timeout: CALL_TIMEOUT_MS, env, stdoutLimit: DATABASE_LIMIT });
}

function notAnswered(what: string, detail: string): TriggerDeployError {
  return new TriggerDeployError('COMMAND_FAILED', `${what} did not succeed`, { detail });
}
