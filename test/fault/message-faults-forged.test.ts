import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { forge } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { alteredOnce, hostileWaves, wrongHeaders } from './support/cloud/hostile.ts';
import { type Besieged, FLAT, startBesieged } from './support/fleet/besieged.ts';
import { currentOf } from './support/fleet/by-hand.ts';

/** Forged and malformed messages in the queue of a running agent: each is refused, and nothing else happens. */

const SEED = 4711;
const HOSTILE = 500;

let siege: Besieged;

beforeAll(async () => {
  siege = await startBesieged();
});
afterAll(() => siege?.world.stop());

const through = () => nextLogged(siege.instance, ({ msg }) => msg.startsWith('announcement refused'));

describe('the version that runs stays, and nothing is written,', () => {
  let before: { current: string | null; written: number };
  const now = async () => ({ current: await currentOf(siege.instance), written: siege.written() });
  beforeEach(async () => {
    before = await now();
  });
  afterEach(async () => expect(await now()).toEqual(before));

  test('for an announcement with any one of its bytes altered', async () => {
    const good = forge({ key: siege.key, payload: siege.valid() });
    const altered = alteredOnce(good, SEED);
    const refused = siege.refused();
    await siege.send(altered);
    expect(altered).not.toContain(good);
    expect(siege.refused() - refused).toBe(good.length);
    proved('forged', `${altered.length} bytes of a valid announcement altered one at a time: all refused`);
  });

  test('for a header that is wrong in any way', async () => {
    const wrong = Object.values(wrongHeaders(siege.key, siege.valid()));
    const refused = siege.refused();
    await siege.send(wrong);
    expect(siege.refused() - refused).toBe(wrong.length);
    proved('forged', `${wrong.length} wrong headers (typ, kid, alg, keys of their own): all refused`);
  });

  test('for hundreds of hostile messages, and the memory of the agent stays flat', async () => {
    const wave = hostileWaves(siege.key, siege.valid(), SEED);
    const texts = (messages: { text: string }[]) => messages.map(({ text }) => text);
    const [first, second] = [wave(HOSTILE / 2), wave(HOSTILE / 2)];
    const refused = siege.refused();
    const logged = through();
    await siege.send(texts(first));
    await logged;
    const warm = siege.memory();
    await siege.send(texts(second));
    expect(siege.memory() - warm).toBeLessThan(FLAT);
    const expected = [...first, ...second].filter((message) => message.refused).length;
    expect(siege.refused() - refused).toBe(expected);
    proved(
      'poison',
      `${HOSTILE} hostile messages, up to 200 KiB: refused or passed over, flat in 64 MiB of heap`,
    );
  });
});

test('the announcement all of these were made from deploys, when nothing is wrong with it', async () => {
  const ended = nextLogged(siege.instance, ({ msg }) => msg === 'succeeded');
  await siege.send([forge({ key: siege.key, payload: siege.valid() })]);
  await ended;
  expect(await currentOf(siege.instance)).toBe('1.1.0');
});

test('one with unknown keys, at any depth, deploys as if they were not there', async () => {
  const said = siege.valid();
  const [artifact] = said.artifacts as object[];
  const payload = JSON.stringify({ ...said, sequence: 3, artifacts: [{ ...artifact, unknown: 'DEEP' }] });
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const ended = nextLogged(siege.instance, ({ msg }) => msg === 'succeeded');
  await siege.send([forge({ key: siege.key, payload: payload.replace('"DEEP"', deep) })]);
  await ended;
});

test('after all of it the next deployment is as good as ever', async () => {
  const { fleet } = siege.world;
  await push(fleet, '2.0.0');
  // The sequences given by hand are behind those of the publisher now.
  for (const version of ['1.0.0', '1.0.0']) await fleet.publisher('payments', version, '--env', 'dev');
  await deploy(fleet, '2.0.0');
  expect(await currentOf(siege.instance)).toBe('2.0.0');
});
