import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseChanges } from '../../../../shared/changes.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

/** The list of changes, as publishers write it into the bucket. */

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const KEY = keys.changes('dev');
const artifacts = [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' as const }];
const list = () => parseChanges(stage.cloud.object(stage.bucket, KEY)?.body.toString() ?? '');

async function move(service: string, sequence: number, session = stage.open()): Promise<string> {
  const desired = await (await session).record.desired.move({
    ...{ service, version: '1.0.0', artifacts, action: 'deploy', sequence, deployment: newUlid(sequence) },
    changedBy: 'ci',
  });
  return desired.nonce;
}

describe('the list of changes', () => {
  it('names each desired state by its nonce, and is written before it', async () => {
    const payments = await move('payments', 1);
    const orders = await move('orders', 1);
    expect(list()).toEqual(new Map(Object.entries({ payments, orders })));
    const written = stage.cloud.requests.flatMap(({ operation, key }) =>
      operation === 'PutObject' ? [key] : [],
    );
    expect(written.slice(0, 2)).toEqual([KEY, keys.desired('dev', 'payments')]);
  });

  it('has the last change of a service', async () => {
    await move('payments', 1);
    const second = await move('payments', 2);
    expect(list()).toEqual(new Map([['payments', second]]));
  });

  it('names a pause, too, and those of all services in one write', async () => {
    const session = await stage.open();
    await move('payments', 1);
    await move('orders', 1);
    const before = list();
    const pause = { by: 'ann', since: '2026-01-01T00:00:00.000Z', reason: 'freeze' };
    const from = stage.cloud.requests.length;
    await Promise.all(['payments', 'orders'].map((one) => session.record.desired.pause(one, pause)));
    for (const service of ['payments', 'orders']) {
      const now = (await session.record.desired.read(service))?.value;
      expect(list()?.get(service)).toBe(now?.nonce);
      expect(list()?.get(service)).not.toBe(before?.get(service));
    }
    const writes = stage.cloud.requests
      .slice(from)
      .filter(({ operation, key }) => operation === 'PutObject' && key === KEY);
    expect(writes.length).toBeLessThanOrEqual(2);
  });

  it('loses no change when many publishers write at once', async () => {
    const services = Array.from({ length: 8 }, (_, i) => `service-${i}`);
    const nonces = await Promise.all(services.map((service) => move(service, 1)));
    expect(list()).toEqual(new Map(services.map((service, i) => [service, nonces[i]])));
  });

  it('that was read ahead is only written, and read again if another publisher wrote it meanwhile', async () => {
    await move('payments', 1);
    const session = await stage.open();
    const reads = () =>
      stage.cloud.requests.filter(({ operation, key }) => operation === 'GetObject' && key === KEY).length;
    await session.record.desired.readAhead();
    const before = reads();
    const second = await move('payments', 2, Promise.resolve(session));
    expect(reads()).toBe(before);
    await session.record.desired.readAhead();
    const orders = await move('orders', 1);
    const third = await move('payments', 3, Promise.resolve(session));
    expect(second).not.toBe(third);
    expect(list()).toEqual(new Map(Object.entries({ orders, payments: third })));
  });

  it.each([
    ['not JSON', '{'],
    ['another document', '{"v":2}'],
    ['nested deeper than any document', '['.repeat(100_000)],
    ['larger than any list', ' '.repeat(300 * 1024)],
  ])('that another writer replaced by something that is %s is written anew', async (_title, body) => {
    stage.cloud.putObject(stage.bucket, KEY, body);
    const nonce = await move('payments', 1);
    expect(list()).toEqual(new Map([['payments', nonce]]));
  });

  it('names the thousand services that changed last, and none with an impossible name', async () => {
    const services = Object.fromEntries(
      Array.from({ length: 1200 }, (_, i) => [i === 1199 ? '../x' : `service-${i}`, 'n']),
    );
    stage.cloud.putObject(stage.bucket, KEY, JSON.stringify({ v: 1, services }));
    await move('payments', 1);
    expect(list()?.size).toBe(1000);
    expect(list()?.has('payments')).toBe(true);
    expect(list()?.has('service-0')).toBe(false);
    expect(list()?.has('../x')).toBe(false);
  });

  it('that cannot be written is a warning: the desired state is set', async () => {
    stage.cloud.fail('unavailable', ({ key, operation }) => key === KEY && operation === 'PutObject', 4);
    const session = await stage.open();
    await move('payments', 1, Promise.resolve(session));
    expect((await session.record.desired.read('payments'))?.value.sequence).toBe(1);
    expect(notes(session.events)).toEqual([expect.stringContaining('the list of changes was not written')]);
  });
});
