import { appendFile, copyFile, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLogWorld } from '../../../../support/agent/logs-fixture.ts';
import { calm } from '../../../../support/host/clock.ts';

/**
 * Logs that live at random: they are written, rotated in every way, and compressed, while the agent is killed and
 * uploads fail, before S3 has stored a part and after it. In the end the bucket has everything that was written, once.
 */

type Step =
  | { kind: 'write'; lines: number }
  | { kind: 'copytruncate'; seen: boolean }
  | { kind: 'rename' | 'compress' | 'round' | 'look' | 'kill' | 'kill before' | 'kill after' }
  | { kind: 'fail before' | 'fail after' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('write' as const), lines: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('copytruncate' as const), seen: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(['rename', 'compress', 'round', 'round', 'look', 'kill'] as const),
        ...(['kill before', 'kill after', 'fail before', 'fail after'] as const),
      ),
    }),
  },
);

class Killed extends Error {}

const isThere = async (path: string) =>
  await stat(path).then(
    ({ size }) => size > 0,
    () => false,
  );

async function live(steps: readonly Step[]): Promise<{ written: string; stored: string }> {
  const world = await createLogWorld({ partBytes: 700 });
  const at = (index: number, end = '') => join(world.dir, `app.log${index === 0 ? '' : `.${index}`}${end}`);
  const files = new Set<string>();
  let written = '';
  let count = 0;
  let shipper = await world.start();
  await writeFile(at(0), '');

  /** Makes the place of the newest rotated file free. */
  async function shift(): Promise<void> {
    for (let i = 40; i >= 1; i -= 1) {
      for (const end of ['', '.gz'])
        if (files.delete(at(i, end))) {
          await rename(at(i, end), at(i + 1, end));
          files.add(at(i + 1, end));
        }
    }
  }

  async function round(all: boolean): Promise<void> {
    await shipper.round(all, calm).catch(async (error: unknown) => {
      if (!(error instanceof Killed) && !String(error).includes('refused')) throw error;
      if (error instanceof Killed) shipper = await world.start();
    });
    world.bucket.before = () => {};
    world.bucket.after = () => {};
  }

  const failing = (error: () => Error) => () => {
    throw error();
  };
  for (const one of steps) {
    switch (one.kind) {
      case 'write': {
        const text = Array.from(
          { length: one.lines },
          (_, i) => `${count + i} ${'x'.repeat((count + i) % 9)}\n`,
        ).join('');
        count += one.lines;
        written += text;
        await appendFile(at(0), text);
        break;
      }
      case 'rename':
        if (!(await isThere(at(0)))) break;
        await shift();
        await rename(at(0), at(1));
        files.add(at(1));
        await writeFile(at(0), '');
        break;
      case 'copytruncate':
        if (!(await isThere(at(0)))) break;
        await shift();
        await copyFile(at(0), at(1));
        files.add(at(1));
        if (one.seen) await round(true);
        await truncate(at(0));
        break;
      case 'compress':
        for (const path of [...files].filter((path) => !path.endsWith('.gz'))) {
          await writeFile(`${path}.gz`, gzipSync(await readFile(path)));
          await rm(path);
          files.delete(path);
          files.add(`${path}.gz`);
        }
        break;
      case 'round':
        await round(true);
        break;
      case 'look':
        await round(false);
        break;
      case 'kill':
        shipper = await world.start();
        break;
      case 'kill before':
        world.bucket.before = failing(() => new Killed());
        await round(true);
        break;
      case 'kill after':
        world.bucket.after = failing(() => new Killed());
        await round(true);
        break;
      case 'fail before':
        world.bucket.before = failing(() => new Error('refused'));
        await round(true);
        break;
      case 'fail after':
        world.bucket.after = failing(() => new Error('refused'));
        await round(true);
        break;
    }
  }
  await round(true);
  await round(true);
  const byFirstLine = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10);
  return { written, stored: world.bucket.logs().toSorted(byFirstLine).join('') };
}

const ROUNDS = Number(process.env.TRIGGER_DEPLOY_LOG_LIVES ?? 40);

test('whatever happens to a log and to the agent, everything that was written is in the bucket, once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const { written, stored } = await live(steps);
      expect(stored).toBe(written);
    }),
    { numRuns: ROUNDS },
  );
}, 120_000);
