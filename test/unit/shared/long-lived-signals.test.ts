import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/**
 * A listener on a signal that lives as long as the program keeps everything that it can reach; so does each race with a
 * promise that never settles. Downloads were kept like that once. Only these files may do either, each for its reason;
 * others use `shared/abort.ts`, `shared/retry.ts` and `agent/deploy/abandon.ts`.
 */
const ALLOWED: Record<string, Record<string, { times: number; reason: string }>> = {
  "addEventListener('abort'": {
    'agent/deploy/abandon.ts': { times: 2, reason: 'both listeners are removed when the wait ends' },
    'agent/host/process/run-command.ts': { times: 1, reason: 'removed when the command has ended' },
    'agent/host/services/command-manager.ts': { times: 1, reason: 'removed when the command has ended' },
    'agent/metrics/endpoint.ts': { times: 1, reason: 'removed when the server has closed' },
    'publisher/cli/keypress.ts': { times: 1, reason: 'removed when the key is there' },
    'publisher/page/shell/live.ts': { times: 1, reason: 'removed when the pause between two tries ends' },
    'shared/abort.ts': { times: 2, reason: 'removed when the wait ends, and by release()' },
    'shared/aws-limits.ts': { times: 1, reason: 'removed when the call has ended' },
    'shared/retry.ts': { times: 1, reason: 'removed by dispose' },
    'shared/wake-up.ts': { times: 1, reason: 'removed when the wait ends' },
  },
  'Promise.race(': {
    'agent/deploy/abandon.ts': { times: 1, reason: 'with a promise of this call alone' },
    'agent/deploy/deployment-run.ts': { times: 1, reason: 'with promises of this step alone' },
    'agent/host/fs/sweeper.ts': {
      times: 1,
      reason: 'twice a second, for two minutes at most; yields nothing',
    },
    'agent/host/process/run-command.ts': { times: 2, reason: 'with promises of this command alone' },
    'publisher/checks/run-verify.ts': { times: 1, reason: 'with promises of this command alone' },
    'publisher/console/runs/runs.ts': { times: 1, reason: 'with the end of this command, which comes' },
    'publisher/notify/notifier.ts': { times: 1, reason: 'once, at the end of the program' },
    'publisher/queue/wait.ts': { times: 1, reason: 'once, when it leaves the queue' },
    'shared/abort.ts': { times: 1, reason: 'with a promise of this wait alone' },
    'shared/retry.ts': { times: 1, reason: 'with a promise of this call alone' },
  },
  'Promise.any(': {
    'publisher/console/looks/look-report.ts': { times: 1, reason: 'with reads of this question alone' },
  },
};

const FORMS = [
  ...Object.keys(ALLOWED),
  ...['.onabort', 'once(signal', "on('abort'", 'addAbortListener(', 'addEventListener("abort"'],
];

const sources = ['agent', 'publisher', 'shared'].flatMap((room) =>
  readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(room, name)),
);

/** How often each file has `form`, comments left out. */
function uses(form: string): Record<string, number> {
  const found = sources.map((path) => {
    const code = readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
    return [path, code.split(form).length - 1] as const;
  });
  return Object.fromEntries(found.filter(([, times]) => times > 0));
}

test.each(FORMS)('%s is used only where it keeps nothing alive', (form) => {
  expect(sources.length).toBeGreaterThan(200);
  const allowed = Object.entries(ALLOWED[form] ?? {}).map(([path, { times }]) => [path, times]);
  expect(uses(form)).toEqual(Object.fromEntries(allowed));
});

test('each listener for an abort is removed by the file that adds it', () => {
  for (const path of Object.keys(uses("addEventListener('abort'"))) {
    expect(uses("removeEventListener('abort'")[path] ?? 0, path).toBeGreaterThan(0);
  }
});

test('the agent, which lives for months, joins signals only where the listeners on the joined one are removed', () => {
  const inAgent = Object.entries(uses('AbortSignal.any(')).filter(([path]) => path.startsWith('agent/'));
  expect(Object.fromEntries(inAgent)).toEqual({
    // A few for each step; the ports remove their listeners. The long test of memory has a hundred deployments.
    'agent/deploy/deployment-run.ts': 5,
    // Once for each deployment; it aborts at the end of the checks.
    'agent/deploy/step-check.ts': 1,
    // For each notice about the life of the instance, and for each step of its end; their work removes its listeners.
    'agent/life/ending.ts': 1,
    'agent/life/life.ts': 2,
    'agent/life/timed.ts': 2,
    // Once for each start of the agent.
    'agent/loop/await-identity.ts': 1,
  });
});
