import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsolePorts, Order } from '../../publisher/console/ports.ts';
import { digestOf } from '../../publisher/record/deployment-document.ts';
import { keys } from '../../shared/names.ts';
import {
  driven,
  fleet,
  has,
  idOf,
  noted,
  PageStage,
  person,
  record,
  waiting,
} from '../support/publisher/page-runs.ts';
import type { Stage } from '../support/publisher/stage.ts';

/** `confirm: other`: another person confirms, and a console has verified both. */

let pages: PageStage;
let dev: Stage;
let prd: Stage;
let ports: ConsolePorts;
beforeEach(async () => {
  pages = await PageStage.open();
  ({ dev, prd } = pages);
  ports = await pages.ports();
});
afterEach(() => pages.close());
const run = (line: string, change: Partial<Order> = {}, of = ports) => pages.run(of, line, change);

describe('confirm: other', () => {
  const refusal = { code: 'NOT_ALLOWED' };
  let strict: ConsolePorts;
  beforeEach(async () => {
    strict = await pages.ports({ confirm: 'other' });
    await fleet(prd, 'i-1');
  });

  it('begins only for a person whom a console has verified; nothing is written for another', async () => {
    const loopback = { person: person('ann', { verified: undefined }) };
    for (const line of ['payments 1.1.0 --env=prd', 'promote payments --from=dev --to=prd --version=1.1.0']) {
      if (line.startsWith('promote')) {
        await fleet(dev, 'i-9');
        await (await run('payments 1.1.0 --env=dev')).ended;
      }
      expect(await (await run(line, loopback, strict)).ended).toMatchObject(refusal);
    }
    const planned = await (await run('plan payments 1.1.0 --env=prd', loopback, strict)).ended;
    expect(planned).toMatchObject({ things: [{ obstacles: [refusal] }] });
    expect(await record(prd)).toBeUndefined();
    expect(prd.json(keys.lock('prd', 'payments'))).toBeUndefined();
  });

  it('opens the gate for another verified person alone, also where the driver is another machine', async () => {
    const first = await run('payments 1.1.0 --env=prd', {}, strict);
    await waiting(first);
    const id = await idOf(prd);
    const confirming = `confirm ${id} --env=prd`;
    const others = [
      person('ann'),
      person('ann', { verified: { iss: 'https://other', sub: 'x' } }),
      person('bob', { verified: undefined }),
      person('ci', { isMachine: true }),
    ];
    for (const who of others) {
      expect(await (await run(confirming, { person: who }, strict)).ended).toMatchObject(refusal);
    }
    first.detach.abort();
    expect(await first.ended).toEqual(driven(3));
    // Another machine, whose config does not say that anybody must confirm.
    const resumed = await run(`resume ${id} --env=prd`, { person: person('ann') });
    await expect.poll(() => has(resumed, 'started')).toBe(true);
    expect(await (await run(confirming)).ended).toMatchObject(refusal);
    await (await run(confirming, { person: person('bob') })).ended;
    expect(await resumed.ended).toEqual(driven(0));
    expect((await record(prd))?.rolling).toMatchObject({
      confirm: 'other',
      confirmed: { by: 'bob@acme.com' },
    });
  });

  it('a decision that was signed without the rule does not count, and one that counts replaces it', async () => {
    const deploying = await run('payments 1.1.0 --env=prd', {}, strict);
    await waiting(deploying);
    const id = await idOf(prd);
    const session = await prd.open();
    const stored = await session.record.deployments.read('payments', id);
    const forged = await (await session.signer()).sign('td-decision+jws', {
      ...{ v: 1, kind: 'confirm', env: 'prd', service: 'payments', deployment: id, by: 'bob@desk' },
      ...{ head: digestOf(stored.document.head), at: new Date().toISOString(), nonce: 'n' },
    });
    prd.cloud.putObject(prd.bucket, keys.decision('prd', 'payments', id, 'confirm'), forged);
    await noted(deploying, 'no console has verified who bob@desk is');
    expect((await record(prd))?.rolling?.confirmed).toBeUndefined();
    await (await run(`confirm ${id} --env=prd`, { person: person('bob') }, strict)).ended;
    expect(await deploying.ended).toEqual(driven(0));
  });

  it('has no way around the gate: neither time, nor all at once, nor a fleet without instances', async () => {
    const strategies = ['--strategy=all', '--canary=1 --batch=1 --auto-confirm=1s'];
    for (const strategy of strategies) {
      const deploying = await run(`payments 1.1.0 --env=prd ${strategy}`, {}, strict);
      await waiting(deploying);
      expect((await record(prd))?.rolling).toMatchObject({ gate: 'person', confirm: 'other' });
      await (await run(`cancel ${await idOf(prd)} --env=prd`, {}, strict)).ended;
      expect(await deploying.ended).toEqual(driven(1));
    }
    await prd.publish('ledger', '1.0.0');
    const empty = await run('ledger 1.0.0 --env=prd', { confirmsEmpty: true }, strict);
    expect(await empty.ended).toMatchObject({ code: 'INSTANCE_NOT_FOUND' });
  });
});
