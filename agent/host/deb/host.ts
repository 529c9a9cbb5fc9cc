import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { installed, isSettled } from './dpkg.ts';

/** What a host needs for deb packages, and how dpkg stands to one of them. */

export interface Finding {
  problem: string;
  hint: string;
}

const PROGRAMS = ['dpkg', 'dpkg-query', 'dpkg-deb', 'systemd-run', 'systemctl'];
const OTHERWISE = 'deploy a jar or an archive here';
const WITHIN_MS = 30_000;

/** Why no deb can be deployed on this host; nothing where it can. */
async function inspectHost(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const missing: string[] = [];
  for (const program of PROGRAMS) if (!(await isOnPath(program))) missing.push(program);
  if (missing.length > 0) {
    findings.push({ problem: `deb packages need ${missing.join(', ')}: not found`, hint: OTHERWISE });
  }
  // sd_booted(3)
  if (!(await isThere('/run/systemd/system'))) {
    findings.push({ problem: 'deb packages need systemd as the init of this host', hint: OTHERWISE });
  }
  if (process.getuid?.() !== 0) {
    findings.push({ problem: 'deb packages need an agent that runs as root', hint: OTHERWISE });
  }
  return findings;
}

/** @throws CONFIG_INVALID: `service` asks for what this host does not have. */
export async function assertDebHost(service: string): Promise<void> {
  const [first] = await inspectHost();
  if (!first) return;
  throw new TriggerDeployError('CONFIG_INVALID', `service ${service}: ${first.problem}`, {
    hint: first.hint,
  });
}

/** What is wrong with this host and with what dpkg has of the package; nothing when all is well. */
export async function inspectDebService(name: string): Promise<Finding[]> {
  const findings = await inspectHost();
  if (findings.length > 0) return findings;
  const here = await installed(name, AbortSignal.timeout(WITHIN_MS));
  if (!here || isSettled(here)) return [];
  return [
    {
      problem: `package ${name} ${here.version} is ${here.status}`,
      hint: 'the next deploy installs it anew; by hand: dpkg --configure -a',
    },
  ];
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
