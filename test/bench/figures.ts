import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Calls } from './calls.ts';
import type { ConsoleFigures } from './console/console.ts';
import type { Footprint } from './footprint.ts';
import { root } from './machine.ts';
import type { Run } from './peers/compare.ts';
import type { ScaleFigures } from './scale/scale.ts';

/** The figures of the last run of each part. The next run is compared with them. */
export interface Figures {
  compare?: Part<Run[]>;
  footprint?: Part<Footprint>;
  calls?: Part<Calls>;
  scale?: Part<ScaleFigures>;
  console?: Part<ConsoleFigures>;
}
export interface Part<T> {
  /** When it was measured: ISO 8601, UTC. */
  at: string;
  machine: string;
  /** The share of the machine's CPU that other programs used before it began, 0 to 1. */
  load: number;
  /** The versions of the programs that it is compared with. */
  versions?: string;
  figures: T;
}

const FILE = join(root, 'test', 'bench', 'figures.json');

export async function readFigures(): Promise<Figures> {
  try {
    return JSON.parse(await readFile(FILE, 'utf8')) as Figures;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

export async function writeFigures(figures: Figures): Promise<void> {
  await writeFile(FILE, `${JSON.stringify(figures, undefined, 1)}\n`);
}
