import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Finding } from '../../deploy/ports.ts';
import { installed, isSettled } from './dpkg.ts';

/** Checks what a host needs for deb packages, and the state of one package in dpkg. */

const PROGRAMS = ['dpkg', 'dpkg-query', 'dpkg-deb', 'systemd-run', 'systemctl'];
const OTHERWISE = 'deploy a jar or an archive on this host';
const WITHIN_MS = 30_000;

/** The problems that prevent this host from deploying deb packages; empty if there are none. */
export async function checkHost(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const missing: string[] = [];
  for (const program of PROGRAMS) if (!(await isOnPath(program))) missing.push(program);
  if (missing.length > 0) {
    findings.push({ ok: false, what: `deb packages need ${missing.join(', ')}: not found`, hint: OTHERWISE });
  }
  // The test of sd_booted(3).
  if (!(await isThere('/run/systemd/system'))) {
    findings.push({ ok: false, what: 'deb packages need systemd as the init of this host', hint: OTHERWISE });
  }
  if (process.getuid?.() !== 0) {
    findings.push({ ok: false, what: 'deb packages need an agent that runs as root', hint: OTHERWISE });
  }
  return findings;
}

/** The problems of this host; if it has none, those of the packages `names` in dpkg. Empty if there are none. */
export async function inspectPackage(names: readonly string[]): Promise<Finding[]> {
  const findings = await checkHost();
  if (findings.length > 0) return findings;
  const signal = AbortSignal.timeout(WITHIN_MS);
  const here = await Promise.all(names.map((name) => installed(name, { signal })));
  return here
    .filter((one) => one !== undefined)
    .filter((one) => !isSettled(one))
    .map(({ name, version, status }) => ({
      ok: false,
      what: `package ${name} ${version} is ${status}`,
      hint: 'the next deployment installs the package again; to repair it by hand: dpkg --configure -a',
    }));
}

async function isOnPath(program: string): Promise<boolean> {
  const directories = (process.env.PATH ?? '').split(delimiter);
  for (const directory of directories) if (await isThere(join(directory, program))) return true;
  return false;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
