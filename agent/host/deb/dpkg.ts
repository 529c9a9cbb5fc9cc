import { TriggerDeployError } from '../../../shared/errors.ts';
import { type RunResult, runCommand } from '../process/run-command.ts';

/**
 * What dpkg knows, asked without its lock (dpkg-query(1), dpkg-deb(1)). Nothing here changes anything, and nothing
 * of a package is run.
 */

/** A package as dpkg has it. */
export interface Known {
  name: string;
  architecture: string;
  /** With its epoch. */
  version: string;
  /** `installed`, `half-configured`, `unpacked`, `half-installed`, `triggers-awaited`, `config-files`, … */
  status: string;
  /** dpkg(1) `reinst-required`: it can only be installed again. */
  broken: boolean;
  multiArch: string;
  /** As in its control file: `mail-transport-agent, libfoo (= 1.2)`. */
  provides: string;
}

/** What the control file of a .deb says. */
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
  /** Without a name, all packages. */
  show: (...names: string[]) => ['dpkg-query', '--show', `--showformat=${FORMAT}`, ...names],
  field: (file: string) => [
    ...['dpkg-deb', '--field', file, 'Package', 'Version', 'Architecture'],
    ...['Installed-Size', 'Depends', 'Pre-Depends'],
  ],
  architecture: ['dpkg', '--print-architecture'],
  /** Exits with 0 where the relation holds, with 1 where it does not. */
  compare: (a: string, relation: string, b: string) => ['dpkg', '--compare-versions', a, relation, b],
};

/** A version without its epoch, which is no part of a version of ours. */
export function bareVersion(version: string): string {
  return version.replace(/^\d+:/, '');
}

/** Whether its files are in place and it is configured. What waits for triggers does so for others' sake. */
export function isSettled({ status, broken }: Known): boolean {
  return !broken && (status === 'installed' || status.startsWith('triggers-'));
}

/** Whether any of its files are there; conffiles that a removal left do not count. */
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

/** The packages of these names that dpkg knows, of all without names. */
export async function known(signal: AbortSignal, ...names: string[]): Promise<Known[]> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.show(...names), signal);
  // 1: it knows none of that name, or not all.
  if (exitCode !== 0 && exitCode !== 1) throw notAnswered('dpkg-query', output);
  return parseShow(stdout);
}

/** The package as this machine runs it; undefined where dpkg has nothing of it but perhaps conffiles. */
export async function installed(name: string, signal: AbortSignal): Promise<Known | undefined> {
  const [found, native] = [await known(signal, name), await architecture(signal)];
  return found.filter(isThere).find((one) => one.architecture === 'all' || one.architecture === native);
}

export async function architecture(signal: AbortSignal): Promise<string> {
  const { exitCode, stdout, output } = await ask(dpkgArgv.architecture, signal);
  if (exitCode !== 0) throw notAnswered('dpkg --print-architecture', output);
  return stdout.trim();
}

/** @throws PACKAGE_INVALID for what is no .deb. */
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

/** `relation` as in a control file: `>=`, `<<`, `=`, … */
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
