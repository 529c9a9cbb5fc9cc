import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Active, serviceState } from '../../../../agent/deploy/state.ts';
import { readJournal } from '../../../../agent/host/state/journal.ts';
import type { Report } from '../../../../shared/report.ts';
import type { LogEntry } from '../../../support/fleet/agent-log.ts';
import type { Program } from '../../../support/programs.ts';
import { reportIn, type Service } from './services.ts';

/** An agent that is stopped in the middle of a deployment, and what the hooks of service-hook.sh saw of it. */

/** What is under way may finish for 3 s, is then ended within 5 s, and the reporter speaks for 3 s; then this machine. */
const STOPPED_WITHIN_MS = 11_000 + 15_000;

/** Follows a deployment that is under way; ended with the test, whatever becomes of it. */
export function startDeploy({ fleet, name }: Service, version: string): Program {
  const publisher = fleet.startPublisher(
    name,
    version,
    '--env',
    'dev',
    '--output',
    'json',
    '--timeout',
    '2m',
  );
  onTestFinished(() => void publisher.process.kill('SIGKILL'));
  return publisher;
}

/** SIGTERM, within the bound; the active deployment that the journal then holds. */
export async function stopAgent({ fleet, instance, name }: Service): Promise<Active> {
  const began = performance.now();
  const { code } = await fleet.stopAgent(instance);
  expect(performance.now() - began).toBeLessThan(STOPPED_WITHIN_MS);
  expect(code).toBe(0);
  const state = await readJournal({
    path: join(instance.dir, 'state', 'services', `${name}.journal`),
    parse: (value: unknown) => serviceState.parse(value),
  });
  if (!state?.active) throw new Error('the journal holds no active deployment');
  return state.active;
}

/** Starts the agent again and sees the deployment to its end. */
export async function goOn({ fleet, instance, name }: Service, publisher: Program): Promise<Report> {
  await fleet.startAgent(instance);
  const { code, stdout, stderr } = await publisher.finished;
  expect(code, stdout + stderr).toBeLessThanOrEqual(1);
  return reportIn(fleet, name, await idOf(publisher), instance.id);
}

const idOf = async (publisher: Program): Promise<string> =>
  JSON.parse(await publisher.line((line) => line.includes('"started"'))).deployment;

/** No two hooks of the deployment at once; these came to their end, each once, in order. */
export async function expectHooksRanOnce({ dir }: Service, { deployment }: Report, names: readonly string[]) {
  const lines = (await readFile(join(dir, 'hooks.log'), 'utf8')).trim().split('\n');
  const notes = lines.map((line) => line.split(' ')).filter(([, , id]) => id === deployment);
  expect(notes.filter(([what]) => what === 'two')).toEqual([]);
  expect(notes.filter(([what]) => what === 'end').map(([, name]) => name)).toEqual(names);
}

/** How often a start command of the service came to its end. */
export async function startsOf({ dir }: Service): Promise<number> {
  return (await readFile(join(dir, 'starts'), 'utf8')).trim().split('\n').length;
}

/** Resolves once the agent has logged that it is in this state with this version, in this direction. */
export async function isIn(
  { instance }: Service,
  wanted: { version: string; state: string; direction: 'forward' | 'back' },
): Promise<void> {
  await instance.agent?.line((line) => {
    const { version, msg, direction } = JSON.parse(line) as LogEntry & {
      version?: string;
      direction?: string;
    };
    return version === wanted.version && msg === wanted.state && direction === wanted.direction;
  });
}
