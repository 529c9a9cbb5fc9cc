import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jarText } from '../../support/shared/zip.ts';
import { inOwnCloud } from '../in-own-cloud.ts';
import { BUCKET } from '../instances.ts';
import { type CrowdFigures, measureCrowd } from './crowd.ts';
import { openFiller } from './fill.ts';
import { type Measured, measure } from './measure.ts';
import { measureServices, type ServicesFigures } from './services.ts';
import type { World } from './world.ts';

/** What the programs take when there is much of everything, against the embedded cloud. */

export interface ScaleFigures {
  /** A service with `VERSIONS` versions in the bucket. */
  versions: Measured[];
  /** A service with `DEPLOYMENTS` deployments in its history. */
  history: Measured[];
  /** A service with `INSTANCES` instances, of which none answers. */
  status: Measured[];
  crowd: CrowdFigures;
  services: ServicesFigures;
}

const VERSIONS = 10_000;
const DEPLOYMENTS = 5000;
const INSTANCES = 5000;
const AGENTS = 1000;
const SERVICES = 100;

type Part = keyof ScaleFigures;
type Scenarios = { [P in Part]: (world: World) => Promise<ScaleFigures[P]> };
const SCENARIOS: Scenarios = {
  versions: manyVersions,
  history: manyDeployments,
  status: manyInstances,
  crowd: (world) => measureCrowd(world, AGENTS),
  services: (world) => measureServices(world, SERVICES),
};

/** Each scenario in a cloud of its own. The programs of dist/ must be built. `only` names the scenarios; all when left out. */
export async function runScale<P extends Part = Part>(
  say: (line: string) => void,
  only: readonly P[] = Object.keys(SCENARIOS) as P[],
): Promise<Pick<ScaleFigures, P>> {
  const figures: Partial<ScaleFigures> = {};
  const run = async <One extends Part>(name: One) => {
    figures[name] = await inWorld(say, SCENARIOS[name]);
  };
  for (const name of only) await run(name);
  return figures as Pick<ScaleFigures, P>;
}

const inWorld = <T>(say: World['say'], work: (world: World) => Promise<T>): Promise<T> =>
  inOwnCloud('scale', async (own) => {
    const filler = await openFiller(own.cloud, join(own.directory, 'keys', 'ci.key.json'));
    return await work({ ...own, filler, say });
  });

async function each({ instances, cloud, say }: World, commands: readonly string[]): Promise<Measured[]> {
  const found: Measured[] = [];
  for (const command of commands) {
    const one = await measure(instances, cloud, command.split(' '));
    say(JSON.stringify(one));
    found.push(one);
  }
  return found;
}

const FEW = ['i-00000001', 'i-00000002', 'i-00000003'];

async function manyVersions(world: World): Promise<Measured[]> {
  await world.filler.versions('app', VERSIONS);
  await world.filler.deployments('app', 3, FEW);
  world.filler.instances('app', FEW, '1.0.3');
  const jar = join(world.directory, 'app.jar');
  await writeFile(jar, jarText('new'));
  return await each(world, [
    'versions app',
    'versions app --limit 200',
    'plan app latest',
    'app latest --no-wait',
    'app 0.0.0 --no-wait',
    `push app new ${jar}`,
    'doctor app',
  ]);
}

async function manyDeployments(world: World): Promise<Measured[]> {
  const { cloud, filler } = world;
  await filler.versions('app', 100);
  await filler.deployments('app', DEPLOYMENTS, FEW);
  filler.instances('app', FEW, `1.0.${DEPLOYMENTS}`);
  await filler.versions('app', DEPLOYMENTS);
  const newest = cloud.objects(BUCKET, 'state/dev/app/deployments/').at(-1)?.split('/')[4] ?? '';
  return await each(world, [
    'history app',
    'history app --limit 1000',
    'history app --failed',
    'history app --since 30d',
    `show ${newest}`,
    'status app',
    `plan app 1.0.7`,
    'app 1.0.7 --no-wait',
    'rollback app --to 1.0.8 --no-wait',
    'rollback app --no-wait',
    'doctor app',
  ]);
}

async function manyInstances(world: World): Promise<Measured[]> {
  const names = Array.from({ length: INSTANCES }, (_, i) => `i-${(i + 1).toString(16).padStart(8, '0')}`);
  await world.filler.versions('app', 3);
  await world.filler.deployments('app', 3, names);
  world.filler.instances('app', names, '1.0.3');
  return await each(world, [
    'status app',
    'status app --output json',
    'status --all',
    'versions app',
    'history app',
    'plan app 1.0.2',
    'app 1.0.2 --no-wait',
    'doctor app',
  ]);
}

if (process.argv[1] === import.meta.filename) {
  const only = process.argv.slice(2) as Part[];
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const figures = await runScale(say, only.length > 0 ? only : undefined);
  process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
}
