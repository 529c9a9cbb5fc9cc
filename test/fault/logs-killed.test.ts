import { randomBytes } from 'node:crypto';
import { appendFile, copyFile, mkdir, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BUCKET, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { storedLogs } from '../support/fleet/stored-logs.ts';
import { proved } from '../support/reliability.ts';

const PREFIX = 'logs/dev/payments/';
const MIB = 1024 * 1024;

test('an agent that is killed again and again while it uploads loses nothing, and stores nothing twice', async () => {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  const dir = join(fleet.dir, 'payments-logs');
  await mkdir(dir);
  const log = join(dir, 'app.log');
  /** What was written to the log, file by file. */
  const written: Buffer[] = [];
  const write = async (mib: number) => {
    const text = Buffer.from(randomBytes((mib * MIB) / 2).toString('hex'));
    written.push(Buffer.concat([written.pop() ?? Buffer.alloc(0), text]));
    await appendFile(log, text);
  };
  await write(20);
  const instance = await fleet.addInstance(
    'i-0a1',
    (one) => ({
      payments: sampleService(one, {
        logs: { files: [{ dir, match: '*.log*' }], every: '200ms', maxPerDay: '100GiB' },
      }),
    }),
    { logBandwidth: '1GiB' },
  );
  const isPart = ({ key }: { key?: string }) => key?.startsWith(PREFIX) ?? false;
  const parts = () => fleet.cloud.requests.filter(isPart).length;

  /** Kills the agent: while a part is on its way, once it is stored, or a moment later. */
  async function killAt(moment: 'sent' | 'stored' | 'noted'): Promise<void> {
    const before = parts();
    const next = () => fleet.cloud.requests.filter(isPart)[before];
    await fleet.cloud.until((one) => one === next() && (moment === 'sent' || one.status !== undefined));
    if (moment === 'noted') await new Promise((resolve) => setImmediate(resolve));
    await fleet.stopAgent(instance, 'SIGKILL');
  }

  let kills = 0;
  for (const moment of ['sent', 'stored', 'noted'] as const) {
    for (const rotate of ['none', 'rename', 'copy'] as const) {
      await killAt(moment);
      kills += 1;
      const rotated = `${log}.${kills}`;
      if (rotate === 'rename') {
        await rename(log, rotated);
        await writeFile(log, '');
      } else if (rotate === 'copy') {
        await copyFile(log, rotated);
        await truncate(log);
      }
      if (rotate !== 'none') written.push(Buffer.alloc(0));
      await write(8);
      await fleet.startAgent(instance);
    }
  }
  const stored = () =>
    [...storedLogs(fleet.cloud, BUCKET, PREFIX).values()].map((one) => one.length).toSorted();
  const expected = written.filter((one) => one.length > 0);
  await expect
    .poll(stored, { timeout: 60_000, interval: 500 })
    .toEqual(expected.map((one) => one.length).toSorted());
  const all = [...storedLogs(fleet.cloud, BUCKET, PREFIX).values()];
  for (const one of expected) expect(all.some((other) => other.equals(one))).toBe(true);
  proved('logs', `${kills} kills`);
}, 180_000);
