import type { Cell, ConfigView } from '../../console/api.ts';
import { waitsFor, whyNever } from '../acts/allowed.ts';
import { needsAttention } from './cell-facts.ts';

/** Which services the overview shows, and in which order. Pure. */

export interface Row {
  service: string;
  /** In the order of the environments; undefined where the service is not known. */
  cells: readonly (Cell | undefined)[];
  rank: Rank;
  needsAttention: boolean;
}

/** What comes first: it waits for this person, something goes on, a person should look, the rest. */
const RANKS = ['waits', 'under-way', 'attention', 'rest'] as const;
export type Rank = (typeof RANKS)[number];

export type Viewer = Pick<ConfigView, 'readOnly' | 'environments' | 'grants' | 'person'>;

/** A row for each service: those that need a person first, then by name. */
export function rowsOf(cells: Iterable<Cell>, viewer: Viewer): Row[] {
  const names = viewer.environments.map(({ name }) => name);
  const services = Map.groupBy(cells, ({ service }) => service);
  const rows = [...services].map(([service, own]): Row => {
    const byEnv = new Map(own.map((cell) => [cell.env, cell]));
    return {
      service,
      cells: names.map((name) => byEnv.get(name)),
      rank: rankOf(own, viewer),
      needsAttention: own.some(needsAttention),
    };
  });
  return rows.sort(
    (a, b) => RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank) || (a.service < b.service ? -1 : 1),
  );
}

function rankOf(cells: readonly Cell[], viewer: Viewer): Rank {
  if (cells.some((cell) => waitKind(cell, viewer) !== undefined)) return 'waits';
  if (cells.some(({ underWay }) => underWay)) return 'under-way';
  return cells.some(needsAttention) ? 'attention' : 'rest';
}

/** What this person is waited for: a confirmation, or somebody who goes on with what nobody drives. */
export function waitKind(cell: Cell, viewer: Viewer): 'confirm' | 'resume' | undefined {
  const { underWay, env, service } = cell;
  if (underWay?.waiting && waitsFor(viewer, env, service, underWay.by)) return 'confirm';
  if (underWay?.resumable && whyNever(viewer, 'resume', env, service) === undefined) return 'resume';
  return undefined;
}

export interface Filter {
  /** Parts of the name, any of them in any place; empty for all. */
  text: string;
  attention: boolean;
}

/** Those that the filter leaves. */
export function filtered(rows: readonly Row[], { text, attention }: Filter): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(
    (row) =>
      (!attention || row.needsAttention || row.rank === 'waits') &&
      words.every((word) => row.service.toLowerCase().includes(word)),
  );
}
