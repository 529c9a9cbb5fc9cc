import { TriggerDeployError } from '../../../shared/errors.ts';
import { type RunResult, runCommand } from '../process/run-command.ts';

/**
 * Queries to dpkg (dpkg-query(1), dpkg-deb(1)). They need no lock, change nothing, and run no code of a package.
 */

/** A package in dpkg's database. */
export interface Known {
  name: string;
  architecture: string;
  /** With its epoch. */
  version: string;
  /** `installed`, `half-configured`, `unpacked`, `half-installed`, `triggers-awaited`, `config-files`, … */
  status: string;
  /** dpkg(1) `reinst-required`: the package has to be installed again. */
  broken: boolean;
  multiArch: string;
  /** As in its control file: `mail-transport-agent, libfoo (= 1.2)`. */
  provides: string;
}

/** Fields of the control file of a .deb. */
export interface DebFile {
  name: string;
  /** With its epoch. */
  version: string;
  architecture: string;
  /** bytes */
  installedSize: number;
  /** Depends and Pre-Depends, as one list. */
  depends: string;
}

const CALL_TIMEOUT_MS = 30_000;
const FIELDS = [
  'Package',
  'Architecture',
  'Version',
  'db:Status-Status',
  'db:Status-Eflag',
  'Multi-Arch',
  'Provides',
] as const;
const FORMAT = `${FIELDS.map((field) => `\${${field}}`).join('\\t')}\\n`;

const dpkgArgv = {
  /** Shows all packages if there are no names. */
  show: (...names: string[]) => ['dpkg-query', '--show', `--showformat=${FORMAT}`, ...names],
  field: (file: string) => [
    ...['dpkg-deb', '--field', file, 'Package', 'Version', 'Architecture'],
    ...['Installed-Size', 'Depends', 'Pre-Depends'],
  ],
  architecture: ['dpkg', '--print-architecture'],
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
  return text
    .split('\n')
    .filter((line) => line.split('\t').length === FIELDS.length)
    .map((line) => {
      const [name = '', architecture = '', version = '', status = '', flag, multiArch = '', provides = ''] =
        line.split('\t');
      return { name, architecture, version, status, broken: flag === 'reinstreq', multiArch, provides };
    });
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
export async function known(signal: AbortSignal, ...names: string[]): Promise<Known[]> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.show(...names), signal);
  // Exit code 1 means that at least one name is unknown.
  if (exitCode !== 0 && exitCode !== 1) throw notAnswered('dpkg-query', output);
  return parseShow(stdout);
}

/** The package for this machine's architecture; undefined if none of its files are installed. */
export async function installed(name: string, signal: AbortSignal): Promise<Known | undefined> {
  const [found, native] = [await known(signal, name), await architecture(signal)];
  return found.filter(isThere).find((one) => one.architecture === 'all' || one.architecture === native);
}

export async function architecture(signal: AbortSignal): Promise<string> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.architecture, signal);
  if (exitCode !== 0) throw notAnswered('dpkg --print-architecture', output);
  return stdout.trim();
}

/** The control fields of a .deb; `called` names the file in messages. @throws PACKAGE_INVALID if it is not a .deb. */
export async function inspectDeb(file: string, called: string, signal: AbortSignal): Promise<DebFile> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.field(file), signal);
  const fields = parseControl(stdout);
  const [name, version] = [fields.get('Package'), fields.get('Version')];
  if (exitCode !== 0 || !name || !version) {
    throw new TriggerDeployError('PACKAGE_INVALID', `${called} is not a Debian package`, { detail: output });
  }
  const needs = [fields.get('Pre-Depends'), fields.get('Depends')];
  return {
    name,
    version,
    architecture: fields.get('Architecture') ?? '',
    installedSize: 1024 * (Number.parseInt(fields.get('Installed-Size') ?? '', 10) || 0),
    depends: needs.filter((list) => list !== undefined && list !== '').join(', '),
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

function ask(argv: readonly string[], signal: AbortSignal): Promise<RunResult> {
  return runCommand(argv, { signal, timeout: CALL_TIMEOUT_MS, env: { LC_ALL: 'C' } });
}

function notAnswered(what: string, detail: string): TriggerDeployError {
  return new TriggerDeployError('COMMAND_FAILED', `${what} did not succeed`, { detail });
}
