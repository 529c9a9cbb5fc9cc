import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { swept } from '../../../../agent/host/fs/sweeper.ts';
import { createJarPackage } from '../../../../agent/host/releases/jar.ts';
import { memoryStore } from '../../../support/host/store.ts';
import { jarOf } from '../../../support/shared/zip.ts';
import { numberOf, openJournal, SERVICE, stateOf } from './world.ts';

/**
 * The program that is run under RLIMIT_FSIZE (`ulimit -f`): what is written past it fails in the middle of a
 * write, as on a disk that runs full, and needs no root. Prints what came of it as JSON.
 */
export interface LimitedOutcome {
  appends: { refused: boolean; loaded: number }[];
  /** What kept the large version from being prepared. */
  refusal: string;
  current: string | null;
  releases: string[];
  staging: string[];
}

const APPENDS = 40;

async function appendMany(path: string): Promise<LimitedOutcome['appends']> {
  const journal = openJournal(path);
  const appends: LimitedOutcome['appends'] = [];
  for (let n = 1; n <= APPENDS; n += 1) {
    const refused = await journal.append(stateOf(n, 1000)).then(
      () => false,
      () => true,
    );
    appends.push({ refused, loaded: numberOf((await openJournal(path).load()).state) });
  }
  return appends;
}

async function prepareLarge(dir: string): Promise<Omit<LimitedOutcome, 'appends'>> {
  const store = memoryStore();
  const pkg = createJarPackage({ service: SERVICE, dir, keep: 3, store });
  const prepare = (version: string, size: number) => {
    const artifacts = [store.put(`${SERVICE}.jar`, jarOf(randomBytes(size)))];
    const order = { service: SERVICE, version, artifacts, fresh: false };
    return pkg.prepare(order, () => {}, new AbortController().signal);
  };
  await prepare('1', 100);
  await pkg.switchTo('1');
  const refusal = await prepare('2', 100_000).then(
    () => 'none',
    (error: unknown) => String(error),
  );
  await swept();
  return {
    refusal,
    current: await pkg.current(),
    releases: (await pkg.releases()).map(({ version }) => version),
    staging: await readdir(join(dir, '.staging')),
  };
}

const [directory = ''] = process.argv.slice(2);
const outcome: LimitedOutcome = {
  appends: await appendMany(join(directory, 'state', 'payments.journal')),
  ...(await prepareLarge(join(directory, SERVICE))),
};
process.stdout.write(JSON.stringify(outcome));
