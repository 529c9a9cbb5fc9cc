import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './support/longest-first.ts';
import { partOfToday } from './support/part-of-today.ts';

/** How long a poll goes on: what is polled for arrives late on a loaded machine. */
const poll = { poll: { timeout: 20_000 } };
/** After this time a test counts as hanging, on a slow machine too; ms. */
const HANGS_MS = 240_000;
const MEMORY = '/dev/shm';
/** The tests' files take a tenth of it. bytes */
const ROOM = 2 ** 31;

/**
 * Puts temporary files into memory where that has room and can hold programs: an fsync takes no time there, and tests
 * make many thousands. What an fsync is worth on a disk is proven by the fault tests, which stay on the disk.
 */
function inMemory(): Record<string, string> {
  let directory: string | undefined;
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize < ROOM) return {};
    directory = mkdtempSync(join(MEMORY, 'trigger-deploy-'));
    const program = join(directory, 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    execFileSync(program);
    return { TMPDIR: MEMORY };
  } catch {
    return {};
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true });
  }
}
const env = inMemory();

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** What takes minutes. `.ci/run` plays a fifth of these files each day. */
const long = (pattern: string) => partOfToday(globSync(pattern, { cwd: ROOT }).sort(), 5);
const LONG_INTEGRATION = long('test/integration/**/*.long.test.ts');
const LONG_FAULTS = long('test/fault/**/*.long.test.ts');
/** In this order all days take about the same time. */
const LONG_E2E = ['self-update', 'unit-types', 'reexec', 'reexec-deb', 'unprivileged', 'zero-downtime'].map(
  (name) => `test/e2e/${name}.test.ts`,
);
const LONG_CONSOLE = globSync('test/console/**/*.long.test.ts', { cwd: ROOT }).sort();
const CONSOLE_TODAY = partOfToday(LONG_CONSOLE, 5);
/** Holds each file to the policies of the roles. */
const LEDGER = ['test/support/iam/ledger-setup.ts'];
const E2E_TODAY = partOfToday(LONG_E2E, 3);

/**
 * `unit`: pure code and single adapters. `integration`: real processes against the embedded cloud. `fault`: the
 * fault matrix, by real kills and real faults. `console`: the server of the console, and its page in Chromium.
 * `integration-long`, `long`: the parts of both that take minutes, or loop over everything. `e2e`: booted instances.
 * `npm test` runs the first two, `npm run test:console` and `npm run test:fault` the next ones, `.ci/run` all.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/bundled-programs.ts', 'test/support/reliability-doc.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: LEDGER,
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 120_000,
          env,
          expect: poll,
          // Vitest would leave one core free; these tests wait often enough for three. No file leaves anything behind
          // that the next one in the same process could meet.
          maxWorkers: 4,
          isolate: false,
        },
      },
      {
        test: {
          name: 'integration',
          setupFiles: LEDGER,
          include: ['test/integration/**/*.test.ts'],
          exclude: ['**/*.long.test.ts'],
          env,
          expect: poll,
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          // Each file starts real agents and a cloud of its own; two cores carry three files side by side.
          maxWorkers: 4,
        },
      },
      {
        test: {
          name: 'fault',
          setupFiles: LEDGER,
          include: ['test/fault/**/*.test.ts'],
          exclude: ['**/*.long.test.ts'],
          expect: poll,
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'console',
          setupFiles: LEDGER,
          include: ['test/console/**/*.test.ts'],
          exclude: LONG_CONSOLE.filter((file) => !CONSOLE_TODAY.includes(file)),
          env,
          expect: poll,
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'integration-long',
          setupFiles: LEDGER,
          include: LONG_INTEGRATION,
          env,
          expect: poll,
          testTimeout: 600_000,
          hookTimeout: HANGS_MS,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'long',
          setupFiles: LEDGER,
          include: LONG_FAULTS,
          expect: poll,
          testTimeout: 600_000,
          hookTimeout: HANGS_MS,
          // Half of them only wait, for minutes. With eight side by side the test of flat memory failed once.
          maxWorkers: 4,
          // After the others, which have another number of workers.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: LONG_E2E.filter((file) => !E2E_TODAY.includes(file)),
          expect: poll,
          globalSetup: ['test/e2e/support/global.ts'],
          setupFiles: ['test/e2e/support/journals.ts'],
          // What it drives is what ships.
          env: { TRIGGER_DEPLOY_PROGRAMS: fileURLToPath(new URL('../dist', import.meta.url)) },
          // Instances end with the main thread of the process that booted them.
          pool: 'forks',
          testTimeout: 2 * HANGS_MS,
          hookTimeout: 2 * HANGS_MS,
          maxWorkers: 3,
        },
      },
    ],
  },
});
