import { afterEach } from 'vitest';
import { openHosts } from './site.ts';

/** After a failed test prints what the agents of the instances that are on logged last. */

const LINES = 25;

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const host of openHosts) {
    if (!host.isOn()) continue;
    const lines = await host.journal().catch((error: unknown) => [String(error)]);
    const last = lines.slice(-LINES);
    process.stdout.write(`e2e: the agent of ${host.id}:\n${last.map((line) => `  ${line}\n`).join('')}`);
  }
});
