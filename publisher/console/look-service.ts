import type { Lane, LiveMessage, ServiceView } from './api.ts';
import { cellOf, instancesOf, type SeenInstance } from './cell.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { afterFirstReads } from './first-reads.ts';
import type { OpenSubject } from './ports.ts';

/** One service in all environments: what the page of a service looks at. */

/** The subject of one service: the whole view, each time that something in it has changed. */
export function openServiceLook(
  readers: () => Promise<readonly EnvironmentReader[]>,
  service: string,
): OpenSubject {
  return async (show, signal) => {
    const all = await readers();
    let shown: string | undefined;
    const text = ({ at: _, ...rest }: ServiceView) => JSON.stringify(rest);
    const tell = () => {
      if (shown === undefined) return;
      const view = viewOf(all, service);
      if (text(view) === shown) return;
      shown = text(view);
      show({ type: 'service', view });
    };
    await afterFirstReads(all.map((reader) => reader.follow(service, tell, signal)));
    shown = text(viewOf(all, service));
    return { snapshot: (): LiveMessage => ({ type: 'service', view: viewOf(all, service) }) };
  };
}

function viewOf(readers: readonly EnvironmentReader[], service: string): ServiceView {
  return {
    service,
    at: readers[0]?.around().now ?? Date.now(),
    lanes: readers.map((reader) => laneOf(reader, service)),
    versions: [],
  };
}

function laneOf(reader: EnvironmentReader, service: string): Lane {
  const facts = reader.facts(service);
  const { env } = reader;
  if (facts === undefined) {
    const { trouble } = reader.state();
    const none = { instances: 0, good: 0, drift: 0, broken: 0, silent: 0, queue: [] };
    return {
      env,
      service,
      ...none,
      ...(trouble && { trouble: trouble.message }),
      inventory: [],
      obstacles: {},
    };
  }
  const around = reader.around();
  const seen = instancesOf(facts, around);
  return { ...cellOf(facts, seen, around), inventory: seen.map(instanceView), obstacles: {} };
}

function instanceView({ record, answered, drift }: SeenInstance): Lane['inventory'][number] {
  const { instance, zone, version } = record;
  return { instance, zone, version, record, ...(answered !== undefined && { answered }), drift };
}
