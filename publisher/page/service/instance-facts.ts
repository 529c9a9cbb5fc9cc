import { isEnding } from '../../../shared/states.ts';
import type { InstanceView, Lane } from '../../console/api.ts';
import type { Fact } from '../overview/cell-facts.ts';

/** What is said of an instance, and in which order. Pure. */

/** The worst thing about it, or that it is well. */
export function factOf(instance: InstanceView, lane: Pick<Lane, 'desired' | 'underWay'>): Fact {
  const { record, answered, drift, version } = instance;
  const { state, active } = record;
  if (state === 'broken') return { tone: 'bad', glyph: '✗', text: 'broken' };
  if (active === false && version !== null) return { tone: 'bad', glyph: '✗', text: 'down' };
  if (answered === false) return { tone: 'bad', glyph: '?', text: 'silent' };
  if (state !== undefined && !isEnding(state)) return { tone: 'busy', glyph: '●', text: state };
  if (lane.underWay && version === lane.underWay.version) {
    return { tone: 'busy', glyph: '●', text: 'new version' };
  }
  if (drift && !lane.underWay) return { tone: 'warn', glyph: '!', text: 'drift' };
  if (version === null) return { tone: 'dim', glyph: '○', text: 'nothing yet' };
  if (lane.underWay) return { tone: 'dim', glyph: '○', text: 'old version' };
  return { tone: 'good', glyph: '✓', text: 'active' };
}

const ORDER: readonly Fact['tone'][] = ['bad', 'warn', 'busy', 'dim', 'good'];

/** The worst first, else by zone and name. */
export function byNeed(lane: Pick<Lane, 'inventory' | 'desired' | 'underWay'>): InstanceView[] {
  const rank = (one: InstanceView) => ORDER.indexOf(factOf(one, lane).tone);
  const name = ({ zone = '', instance }: InstanceView) => `${zone} ${instance}`;
  return lane.inventory.toSorted((a, b) => rank(a) - rank(b) || (name(a) < name(b) ? -1 : 1));
}

/** The instances of each zone, the zones by name: `1a` of `eu-central-1a`. */
export function byZone(inventory: readonly InstanceView[]): [string, InstanceView[]][] {
  const zones = Map.groupBy(inventory, ({ zone }) => zone ?? '');
  return [...zones]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([zone, own]) => [/\d+[a-z]$/.exec(zone)?.[0] ?? zone, own]);
}
