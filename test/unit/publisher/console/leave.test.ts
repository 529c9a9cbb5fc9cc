import { describe, expect, test } from 'vitest';
import { PERMISSIONS, type Permission } from '../../../../publisher/console/permissions.ts';
import type { Order, People } from '../../../../publisher/console/ports.ts';
import type { Person } from '../../../../publisher/record/origin.ts';
import { orAborted } from '../../../../shared/abort.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { fakeConsole, startedEvent } from '../../../support/console/fake-services.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const DEPLOY = ['deploy', 'payments', '1.4.2', '--env=dev'];

describe('a command that waits in the line', () => {
  const place = { place: 1, of: 1 };
  /** A console where bob's deployment waits; the others may do what `may` says. */
  async function waiting(name: string, may: readonly Permission[], more: Partial<Person> = {}) {
    let who: Person = { name: 'bob', via: 'x', groups: [], isMachine: false };
    const people: People = {
      mode: 'proxy',
      personOf: async () => ({ person: who }),
      grantsOf: () => [{ env: ['dev'], may: who.name === 'bob' ? PERMISSIONS : may }],
      mayRun: () => undefined,
    };
    const orders: Order[] = [];
    const console = fakeConsole({
      people,
      play: async (_, order) => {
        orders.push(order);
        order.emit({ type: 'note', at: 0, level: 'info', text: 'place 1 of 1', place });
        return await orAborted(new Promise<never>(() => undefined), order.detach).catch(() => {
          throw new TriggerDeployError('CANCELLED', 'interrupted; nothing was announced');
        });
      },
    });
    await console.ask({ target: '/api/run', json: { argv: DEPLOY, run: 'abcdefgh' } });
    who = { ...who, name, ...more };
    const leave = (by = 'bob', id = 'abcdefgh') =>
      console.ask({ target: '/api/leave', json: { run: id, by } });
    return { ...console, orders, leave };
  }

  test('is taken out of it by who began it, and the log says so', async () => {
    const { leave, orders, audited, services } = await waiting('bob', []);
    const left = { state: 'ended', error: { message: 'bob took it out of the line; nothing was announced' } };
    expect(await leave()).toMatchObject({ status: 200, json: { run: left } });
    expect(orders[0]?.detach.aborted).toBe(true);
    expect(services.runs.views()).toMatchObject([left]);
    expect(audited.at(-1)).toMatchObject({
      ...{ person: { name: 'bob' }, path: '/api/leave', run: 'abcdefgh', argv: DEPLOY, status: 200 },
    });
    expect(await leave()).toMatchObject({ status: 409, json: { error: { code: 'NOT_WAITING' } } });
  });

  test('is taken out of it by another person who may cancel there, and by nobody else', async () => {
    expect(await (await waiting('ann', ['look', 'cancel'])).leave()).toMatchObject({ status: 200 });
    const refused = await waiting('eve', ['look', 'deploy', 'confirm']);
    expect(await refused.leave()).toMatchObject({ status: 403, json: { error: { code: 'NOT_ALLOWED' } } });
    expect(await refused.leave('eve')).toMatchObject({ status: 409 });
    // Who may not look is not told that it is there.
    const blind = await waiting('eve', ['cancel']);
    expect(await blind.leave()).toMatchObject({ status: 409, json: { error: { code: 'NOT_WAITING' } } });
    const nameless = await waiting('bob', ['look'], { mayOnlyLook: true });
    nameless.services.people.grantsOf = () => [{ may: ['look'] }];
    expect(await nameless.leave()).toMatchObject({ status: 403 });
    for (const one of [refused, blind, nameless]) expect(one.orders[0]?.detach.aborted).toBe(false);
  });

  test('is not left once it has begun: that is cancelled', async () => {
    const { leave, orders } = await waiting('bob', []);
    orders[0]?.emit(startedEvent(ID));
    expect(await leave()).toMatchObject({ status: 409 });
    expect(orders[0]?.detach.aborted).toBe(false);
  });

  test('counts as one of the ten changes in a minute', async () => {
    const { leave } = await waiting('ann', []);
    for (let i = 0; i < 10; i += 1) expect((await leave('bob', `another${i}`)).status).toBe(409);
    expect(await leave()).toMatchObject({ status: 429 });
  });

  test.each([
    [{}],
    [{ run: 'abcdefgh' }],
    [{ run: 'short', by: 'bob' }],
    [{ run: 'abcdefgh', by: 'b'.repeat(400) }],
  ])('is not found by the body %j', async (json) => {
    expect(await fakeConsole().ask({ target: '/api/leave', json })).toMatchObject({ status: 400 });
  });
});
