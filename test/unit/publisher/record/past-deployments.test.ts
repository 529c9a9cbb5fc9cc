import { describe, expect, it } from 'vitest';
import { merged } from '../../../../publisher/console/looks/look-history.ts';
import type { PastDeployment } from '../../../../publisher/record/local-deployment.ts';
import { hasFailed, pastDeployments } from '../../../../publisher/record/past-deployments.ts';
import { newUlid, ulidTime } from '../../../../shared/names.ts';

const T0 = Date.parse('2026-11-01T00:00:00Z');

/** A record of `services`, each with a deployment a minute; reads and lists are counted. */
function recordOf(services: number, each: number) {
  const names = Array.from({ length: services }, (_, i) => `s${i}`);
  const ids = new Map(
    names.map((name, i) => [
      name,
      Array.from({ length: each }, (_, n) => newUlid(T0 + n * 60_000 + i)).reverse(),
    ]),
  );
  const count = { lists: 0, reads: 0 };
  const deployments = {
    async *ids(service: string, before?: string) {
      count.lists += 1;
      const all = (ids.get(service) ?? []).filter((id) => before === undefined || id < before);
      for (let at = 0; at < all.length; at += 32) yield all.slice(at, at + 32);
    },
    async pastOrNone(service: string, deployment: string) {
      count.reads += 1;
      const status = ulidTime(deployment) % 7 === 0 ? 'failed' : 'succeeded';
      return { service, deployment, status } as PastDeployment;
    },
  };
  const all = [...ids.values()].flat().sort().reverse();
  return { names, deployments, count, all };
}
const idsOf = (found: readonly PastDeployment[]) => found.map((one) => one.deployment);

describe('the history of all services', () => {
  it('of 200 services with 1,000 deployments each takes a list of each and some reads', async () => {
    const { names, deployments, count, all } = recordOf(200, 1000);
    const page = await pastDeployments(deployments, { services: names, limit: 50 });
    expect(idsOf(page.deployments)).toEqual(all.slice(0, 50));
    expect(count).toEqual({ lists: 200, reads: 64 });
    const next = await pastDeployments(deployments, { services: names, limit: 50, before: page.before });
    expect(idsOf(next.deployments)).toEqual(all.slice(50, 100));
  });

  it('page by page has each deployment once, also where few are wanted', async () => {
    const { names, deployments, all } = recordOf(5, 40);
    for (const wanted of [() => true, hasFailed]) {
      const seen: PastDeployment[] = [];
      for (let before: string | undefined, more = true; more; more = before !== undefined) {
        const page = await pastDeployments(deployments, { services: names, limit: 7, before, wanted });
        seen.push(...page.deployments);
        before = page.before;
      }
      const expected = all.filter((id) => (wanted === hasFailed ? ulidTime(id) % 7 === 0 : true));
      expect(idsOf(seen)).toEqual(expected);
    }
  });

  it('ends at a time, and looks at 1,000 deployments at most where none is wanted', async () => {
    const { names, deployments, count } = recordOf(10, 500);
    const since = T0 + 490 * 60_000;
    const page = await pastDeployments(deployments, { services: names, limit: 1000, since });
    expect(page).toMatchObject({ before: undefined, deployments: { length: 100 } });
    count.reads = 0;
    const none = await pastDeployments(deployments, { services: names, limit: 5, wanted: () => false });
    expect(count.reads).toBe(1000);
    expect(none.deployments).toEqual([]);
    expect(none.before).toBeDefined();
  });

  it('of several environments ends where the first of them ends', () => {
    const of = (...ids: string[]) => ids.map((deployment) => ({ deployment }) as PastDeployment);
    const parts = [
      { deployments: of('9', '5'), before: '5' },
      { deployments: of('8', '4', '3'), before: '3' },
    ];
    const found = merged(parts, 10);
    expect(idsOf(found.deployments)).toEqual(['9', '8', '5']);
    expect(found.before).toBe('5');
    expect(merged(parts, 2)).toMatchObject({ before: '8', deployments: { length: 2 } });
  });
});
