import { renameSync, writeFileSync } from 'node:fs';
import { countCosts } from '../host/costs.ts';

/** Imported by a program before its own first line: at each SIGUSR2 it writes what it has cost since the last one. */
const file = process.env.COSTS_FILE ?? '';
const write = writeFileSync;
const costs = await countCosts();
process.on('SIGUSR2', () => {
  const text = JSON.stringify(costs.take());
  write(`${file}.new`, text);
  renameSync(`${file}.new`, file);
});
