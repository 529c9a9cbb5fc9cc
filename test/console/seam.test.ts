import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openConnection } from '../../publisher/connection.ts';
import type { ConsolePorts, Order } from '../../publisher/console/ports.ts';
import { shareSession } from '../../publisher/session.ts';
import { asTriggerDeployError, TriggerDeployError } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import {
  desired,
  driven,
  fleet,
  ISSUER,
  idOf,
  noted,
  PageStage,
  person,
  record,
  waiting,
} from '../support/publisher/page-runs.ts';
import { never, notes, type Stage } from '../support/publisher/stage.ts';

/** Command lines of the page, carried out side by side in one process over shared connections. */

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
/** The key of nothing. */
const NONE = keys.manifest('payments', '9.9.9');
const run = (line: string, change: Partial<Order> = {}, of = ports) => pages.run(of, line, change);

describe('two commands of one process', () => {
  it('exclude each other by the lock, and wait for each other in the queue', async () => {
    await fleet(dev, 'i-1', 'i-2');
    const first = await run('payments 1.1.0 --env=dev --canary=1 --confirm');
    await waiting(first);
    const refused = await run('payments 1.2.0 --env=dev', { person: person('bob') });
    expect(await refused.ended).toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('ann@acme.com'),
    });
    const second = await run('payments 1.2.0 --env=dev --queue', { person: person('bob') });
    await noted(second, 'place 1 of 1');
    const third = await run('payments 1.0.0 --env=dev --queue', { person: person('cat') });
    await noted(third, 'place 2 of 2');
    expect(notes(third.events).join()).toContain('ahead: bob@acme.com');
    const id = await idOf(dev);
    await (await run(`confirm ${id} --env=dev`)).ended;
    expect(await first.ended).toEqual(driven(0));
    expect(await second.ended).toEqual(driven(0));
    expect(await third.ended).toEqual(driven(0));
    const past = await (await dev.open()).record.deployments.list('payments', 5);
    expect(past.map(({ version, issuedBy }) => [version, issuedBy])).toEqual([
      ['1.0.0', 'cat@acme.com'],
      ['1.2.0', 'bob@acme.com'],
      ['1.1.0', 'ann@acme.com'],
    ]);
    expect(notes([...first.events, ...second.events, ...third.events]).join()).not.toContain('taking over');
  });

  it('end alone: one that is detached closes nothing that another uses', async () => {
    await fleet(dev, 'i-1', 'i-2');
    await fleet(prd, 'i-3');
    const one = await run('payments 1.1.0 --env=dev --canary=1 --confirm');
    const other = await run('payments 1.1.0 --env=prd --strategy=rolling --batch=1 --confirm');
    await Promise.all([waiting(one), waiting(other)]);
    one.detach.abort();
    expect(await one.ended).toEqual(driven(3));
    await (await run(`confirm ${await idOf(prd)} --env=prd`)).ended;
    expect(await other.ended).toEqual(driven(0));
    const look = await ports.environments.look('dev');
    expect((await look.record.desired.read('payments'))?.value.version).toBeUndefined();
    expect(await ports.environments.look('dev')).toBe(look);
  });

  it('share keys and connections; an interrupted session ends its own calls alone, and closes nothing', async () => {
    const connection = openConnection(dev.env, { signal: never() });
    const options = {
      signal: never(),
      emit: () => undefined,
      environment: {},
      connect: async () => connection,
    };
    const end = new AbortController();
    const interruption = { signal: end.signal, readMs: 0, writeMs: 0 };
    const one = shareSession(connection, { ...options, interruption });
    const other = shareSession(connection, options);
    expect(await one.signer()).toBe(await other.signer());
    expect(await one.record.objects.exists(NONE)).toBe(false);
    end.abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
    await expect(one.record.objects.exists(NONE)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    (await one.beside('dev')).close();
    one.close();
    expect(await other.record.objects.exists(NONE)).toBe(false);
    connection.close();
  });

  it('promote over the connections of both environments', async () => {
    await fleet(dev, 'i-1', 'i-2');
    await fleet(prd, 'i-3');
    expect(await (await run('payments 1.1.0 --env=dev')).ended).toEqual(driven(0));
    // The file is there already, as after a promotion that was interrupted.
    const { artifacts } = await prd.publish('payments', '1.1.0');
    for (const { sha256, name } of artifacts) {
      prd.cloud.putObject(prd.bucket, keys.artifact('payments', '1.1.0', sha256, name), 'jar');
    }
    const look = await ports.environments.look('dev');
    expect(await (await run('promote payments --from=dev --to=prd')).ended).toEqual(driven(0));
    expect(await desired(prd)).toBe('1.1.0');
    expect((await look.record.desired.read('payments'))?.value.version).toBe('1.1.0');
  });
});

it('the record says who acted, through what, and what they typed', async () => {
  await fleet(dev, 'i-1', 'i-2');
  const typed = 'payments 1.1.0 --env=dev --canary=1 --confirm';
  const deploying = await run(typed);
  await waiting(deploying);
  const id = await idOf(dev);
  const bob = person('bob');
  await (await run(`confirm ${id} --env=dev --reason=fine`, { person: bob })).ended;
  expect(await deploying.ended).toEqual(driven(0));
  expect(await record(dev)).toMatchObject({
    issuedBy: 'ann@acme.com',
    from: {
      ...{ via: 'deploys.acme.com', verified: { iss: ISSUER, sub: 'ann' } },
      argv: typed.split(' '),
    },
    rolling: { confirmed: { by: 'bob@acme.com' } },
  });
  const shown = await (await run(`show ${id} --env=dev`)).ended;
  const text = JSON.stringify(shown);
  expect(text).toContain('by ann@acme.com via deploys.acme.com');
  const decision = { by: 'bob@acme.com', via: 'deploys.acme.com', verified: { iss: ISSUER, sub: 'bob' } };
  expect(shown).toMatchObject({ things: [{ decisions: { confirm: decision } }] });
  await (await run('pause --env=dev --reason=why', { person: bob })).ended;
  const changes = await (await dev.open()).record.pauses.changes(undefined);
  expect(changes).toMatchObject([decision]);
});

describe('a page that agrees beforehand to a deployment without instances', () => {
  it('deploys where there is none', async () => {
    const demanding = await pages.ports({ confirm: 'person' });
    const line = 'payments 1.1.0 --env=prd --timeout=1s';
    const refused = await run(line, {}, demanding);
    expect(await refused.ended).toMatchObject({ code: 'INSTANCE_NOT_FOUND' });
    await (await run(line, { confirmsEmpty: true }, demanding)).ended;
    expect(await desired(prd)).toBe('1.1.0');
  });

  it('opens no gate when an instance has appeared meanwhile', async () => {
    const demanding = await pages.ports({ confirm: 'person' });
    await fleet(prd, 'i-1');
    const deploying = await run('payments 1.1.0 --env=prd', { confirmsEmpty: true }, demanding);
    await waiting(deploying);
    const { requests } = prd.cloud;
    const read = () => requests.filter(({ key }) => key?.endsWith('confirm.jws')).length;
    const before = read();
    // The driver has looked for a decision again, and found none.
    await expect.poll(read).toBeGreaterThan(before + 1);
    deploying.detach.abort();
    expect(await deploying.ended).toEqual(driven(3));
    expect((await record(prd))?.rolling).toMatchObject({ gate: 'person', awaitingSince: expect.any(String) });
    expect((await record(prd))?.rolling?.confirmed).toBeUndefined();
  });
});

describe('a command line of the page', () => {
  it.each([
    ['--help', 'USAGE'],
    ['payments 1.1.0', 'USAGE'],
    ['rollback payments', 'USAGE'],
    ['nonsense', 'USAGE'],
    ['payments 1.1.0 --env=nowhere', 'USAGE'],
    ['push payments 1.1.0 /etc/passwd --env=dev', 'USAGE'],
    ['payments 1.1.0 --env=dev --no-wait', 'USAGE'],
  ])('%s is refused', async (line, code) => {
    const refused = await run(line).catch(asTriggerDeployError);
    const error = 'ended' in refused ? await refused.ended : refused;
    expect(error).toMatchObject({ code });
    expect(ports.commandLine.explain(error)).toMatchObject({ code, exitCode: 2 });
    expect(dev.cloud.requests.filter(({ operation }) => !/^(Get|List|Head)/.test(operation))).toEqual([]);
  });
});
