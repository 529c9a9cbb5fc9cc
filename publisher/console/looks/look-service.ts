import { asTriggerDeployError, type TriggerDeployError } from '../../../shared/errors.ts';
import type { Session } from '../../session.ts';
import type { Lane, LiveMessage, ServiceView } from '../api.ts';
import type { OpenSubject } from '../ports.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import type { Facts } from './facts.ts';
import { afterFirstReads } from './first-reads.ts';
import { type LaneMore, type Push, readLane } from './lane-reader.ts';
import { laneOf, versionsOf } from './service-view.ts';

/** One service in all environments: what the page of a service looks at. */

/** How old history, pushes and proofs may be while no deployment begins or ends, ms. */
const MORE_MS = 55_000;
/** The same for a page that begins to look, ms. */
const FRESH_MORE_MS = 1000;
/** How many versions are shown. */
const VERSIONS = 20;

/** What the page shows of one environment, and when it was read. */
interface More {
  found: LaneMore | undefined;
  /** Why it cannot be read. */
  trouble: TriggerDeployError | undefined;
  /** What of the service it was read for: with another one, it is read again. */
  of: string;
  /** The newest deployment and its status then. */
  newest: string | undefined;
  at: number;
  /** The read that goes on. */
  reading: Promise<void> | undefined;
  pushed: Map<string, Push>;
}

/** The subject of one service: the whole view, each time that something in it has changed. */
export function openServiceLook(
  readers: () => Promise<readonly EnvironmentReader[]>,
  service: string,
): OpenSubject {
  return async (show, signal) => {
    const all = await readers();
    const mores = new Map<string, More>();
    let shown: string | undefined;
    const text = ({ at: _, ...rest }: ServiceView) => JSON.stringify(rest);

    function tell(): void {
      if (shown === undefined || signal.aborted) return;
      const view = viewOf();
      const now = text(view);
      if (now === shown) return;
      shown = now;
      show({ type: 'service', view });
    }

    const sourceOf = (reader: EnvironmentReader) =>
      all.find(({ env }) => env === reader.session()?.env.requires)?.facts(service);

    /** Reads history, pushes and proofs, if a deployment began or ended since, or they are old. */
    async function readMore(reader: EnvironmentReader, mostMs = MORE_MS): Promise<void> {
      const [session, facts] = [reader.session(), reader.facts(service)];
      if (session === undefined || facts === undefined || signal.aborted) return;
      const { newest, desired } = facts;
      const source = sourceOf(reader);
      // The newest deployment is read after the first snapshot, and the history has it already.
      const of = JSON.stringify([desired?.deployment, source?.desired?.deployment]);
      const found = mores.get(reader.env) ?? NEVER();
      mores.set(reader.env, found);
      const head = found.found?.records.find(({ deployment }) => deployment === newest?.deployment);
      const last = newest && `${newest.deployment} ${newest.status}`;
      const isNew = newest !== undefined && last !== found.newest && head?.status !== newest.status;
      const now = session.clock.monotonic();
      if (found.reading !== undefined) return await found.reading;
      if (found.of === of && !isNew && now - found.at < mostMs) return;
      found.reading = readInto(found, session, facts, source);
      await found.reading;
      Object.assign(found, { of, newest: last, at: now, reading: undefined });
    }

    async function readInto(found: More, session: Session, facts: Facts, source: Facts | undefined) {
      try {
        found.found = await readLane(session, facts, { source, pushed: found.pushed });
        found.trouble = undefined;
      } catch (error) {
        found.trouble = asTriggerDeployError(error);
      }
    }

    const follow = async (reader: EnvironmentReader) => {
      const told = () => {
        tell();
        void readMore(reader).then(tell);
      };
      await reader.follow(service, told, signal);
    };

    function viewOf(): ServiceView {
      const lanes = all.map((reader) => {
        const more = mores.get(reader.env);
        return { lane: laneIn(reader, more), more: more?.found };
      });
      return {
        service,
        at: all[0]?.around().now ?? Date.now(),
        lanes: lanes.map(({ lane }) => lane),
        versions: versionsOf(lanes, VERSIONS),
      };
    }

    function laneIn(reader: EnvironmentReader, more: More | undefined): Lane {
      const facts = reader.facts(service);
      const lane = facts === undefined ? emptyLane(reader.env) : laneOf(facts, more?.found, reader.around());
      const trouble = lane.trouble ?? reader.state().trouble?.message ?? more?.trouble?.message;
      return { ...lane, ...(trouble !== undefined && { trouble }) };
    }

    const emptyLane = (env: string): Lane => ({
      ...{ env, service, instances: 0, good: 0, drift: 0, broken: 0, silent: 0, queue: [] },
      ...{ inventory: [], obstacles: {}, unread: true },
    });

    await afterFirstReads(all.map(follow));
    await afterFirstReads(all.map((reader) => readMore(reader)));
    shown = text(viewOf());
    return {
      snapshot: (): LiveMessage => ({ type: 'service', view: viewOf() }),
      async freshen() {
        await afterFirstReads(all.map((reader) => reader.freshen(service)));
        await afterFirstReads(all.map((reader) => readMore(reader, FRESH_MORE_MS)));
        tell();
      },
    };
  };
}

const NEVER = (): More => ({
  ...{ found: undefined, trouble: undefined, of: '', newest: undefined, at: 0, reading: undefined },
  pushed: new Map(),
});
