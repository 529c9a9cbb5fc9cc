import { pauseOf } from '../../record/pauses.ts';
import { obstacle, obstaclesInThePast, obstaclesOnTheWay } from '../../rollout/obstacles.ts';
import type { Action, Cell, Lane, Obstacle, VersionView } from '../api.ts';
import { type Around, cellOf, instancesOf, type SeenInstance } from './cell.ts';
import type { Facts } from './facts.ts';
import type { LaneMore } from './lane-reader.ts';

/** The page of a service, of what was read. Pure. */

export function laneOf(facts: Facts, more: LaneMore | undefined, around: Around): Lane {
  const seen = instancesOf(facts, around);
  const { promote, rollbackTo, reason } = more ?? {};
  return {
    ...cellOf(facts, seen, around),
    ...(reason !== undefined && { reason }),
    inventory: seen.map(instanceView),
    obstacles: obstaclesOf(facts, more, around),
    ...(promote && { promote: { from: promote.from, version: promote.version } }),
    ...(rollbackTo !== undefined && { rollbackTo }),
  };
}

function instanceView({ record, answered, drift }: SeenInstance): Lane['inventory'][number] {
  const { instance, zone, version } = record;
  return { instance, zone, version, record, ...(answered !== undefined && { answered }), drift };
}

/** Why each action would be refused now, by the functions that refuse it. */
function obstaclesOf(
  facts: Facts,
  more: LaneMore | undefined,
  { env, pause, now }: Around,
): Lane['obstacles'] {
  const { service, desired, trouble, lock, queue } = facts;
  const key = more?.key ?? [];
  const records = more?.records ?? [];
  const way = {
    pause: pauseOf({ environment: pause, own: facts.pause, copy: desired?.pause }),
    lock,
    queue,
  };
  const damage = trouble ? [obstacle(trouble)] : [];
  const before = (command: string) => [
    ...key,
    ...damage,
    ...obstaclesOnTheWay({ env, service, command, now }, way),
  ];
  // What cannot be read says nothing about the past.
  const past = (verb: 'rollback' | 'restart') =>
    more === undefined || trouble ? [] : obstaclesInThePast({ env, service }, verb, { desired, records });
  const all: Record<Action, readonly Obstacle[]> = {
    deploy: before('deploy'),
    promote: [...before('promote'), ...(more?.promote?.refused ?? [])],
    rollback: [...before('rollback'), ...past('rollback')],
    restart: [...before('restart'), ...past('restart')],
    pause: key,
    unpause: key,
  };
  return Object.fromEntries(Object.entries(all).filter(([, found]) => found.length > 0));
}

/** The versions of all environments, the newest push first. What a signed manifest says counts more than an index. */
export function versionsOf(
  lanes: readonly { lane: Cell; more: LaneMore | undefined }[],
  most: number,
): VersionView[] {
  const known = new Map<string, LaneMore['pushes'][number]>();
  for (const push of lanes.flatMap(({ more }) => more?.pushes ?? [])) {
    const before = known.get(push.version);
    // A promotion pushes the version again: the first push is the one of the build.
    const isFirst = (push.pushedAt ?? 0) < (before?.pushedAt ?? 0);
    if (!before || (push.isSigned && !before.isSigned) || (push.isSigned === before.isSigned && isFirst))
      known.set(push.version, push);
  }
  return [...known.values()]
    .sort((a, b) => (b.pushedAt ?? 0) - (a.pushedAt ?? 0))
    .slice(0, most)
    .map(({ version, pushedAt, pushedBy, build }) => ({
      version,
      ...(pushedAt !== undefined && { pushedAt }),
      ...(pushedBy !== undefined && { pushedBy }),
      ...(build !== undefined && { build }),
      places: lanes.flatMap(({ lane, more }) => {
        const state = stateIn(version, lane, more);
        const at = succeededAt(version, more);
        if (state === undefined) return [];
        return [{ env: lane.env, state, ...(at !== undefined && { succeededAt: at }) }];
      }),
    }));
}

function stateIn(
  version: string,
  lane: Cell,
  more: LaneMore | undefined,
): VersionView['places'][number]['state'] | undefined {
  if (lane.underWay?.version === version) return 'under-way';
  if (lane.desired?.version === version) return 'desired';
  const tried = triedOf(version, more);
  if (tried.some(({ status }) => status === 'succeeded')) return 'succeeded';
  return tried.length > 0 ? 'failed' : undefined;
}

/** A deployment to some instances says nothing about the others; a restart deploys nothing. The newest one first. */
const triedOf = (version: string, more: LaneMore | undefined) =>
  (more?.records ?? []).filter(
    (one) => one.version === version && one.action !== 'restart' && one.targets === undefined,
  );

/** When it succeeded there last, ms since the epoch, as far as the newest records reach. */
function succeededAt(version: string, more: LaneMore | undefined): number | undefined {
  const last = triedOf(version, more).find(({ status }) => status === 'succeeded');
  return last?.settledAt === undefined ? undefined : Date.parse(last.settledAt);
}
