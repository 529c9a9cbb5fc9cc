import { afterAll, beforeAll, expect, test } from 'vitest';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { forge } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { alteredEverywhere } from './support/cloud/hostile.ts';
import { type Besieged, startBesieged } from './support/fleet/besieged.ts';
import { currentOf } from './support/fleet/by-hand.ts';

/** One announcement, with each of its bytes altered by a bit, and some left out or doubled. */

const WAVE = 1000;

let siege: Besieged;

beforeAll(async () => {
  siege = await startBesieged();
});
afterAll(() => siege?.world.stop());

test('of all that one flipped bit at any byte, one byte less or one byte more can make of it, only itself is accepted', async () => {
  const good = forge({ key: siege.key, payload: siege.valid() });
  const altered = alteredEverywhere(good);
  const written = siege.written();
  for (let at = 0; at < altered.length; at += WAVE) await siege.send(altered.slice(at, at + WAVE));
  expect(siege.refused()).toBe(altered.length);
  expect(siege.written()).toBe(written);
  expect(await currentOf(siege.instance)).toBe('1.0.0');
  const ended = nextLogged(siege.instance, ({ msg }) => msg === 'succeeded');
  await siege.send([good]);
  await ended;
  expect(await currentOf(siege.instance)).toBe('1.1.0');
  proved('forged', `${altered.length} alterations of one announcement, at each of its bytes: all refused`);
});
