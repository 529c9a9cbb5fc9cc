import { afterEach } from 'vitest';
import { openHosts } from './site.ts';

/** After a failed test prints what the agents of the instances that are on logged as warnings and errors. */

const LINES = 25;
const HARMLESS = /"level":"(trace|debug|info)"/;

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const host of openHosts) {
    if (!host.isOn()) continue;
    const lines = await host.journal().catch((error: unknown) => [String(error)]);
    const worst = lines.filter((line) => !HARMLESS.test(line)).slice(-LINES);
    process.stdout.write(`e2e: the agent of ${host.id}:\n${worst.map((line) => `  ${line}\n`).join('')}`);
  }
});
