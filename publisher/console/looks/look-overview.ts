import type { Cell, LiveMessage, OverviewView } from '../api.ts';
import type { OpenSubject } from '../ports.ts';
import { cellOf, instancesOf } from './cell.ts';
import type { EnvironmentReader, News } from './environment-reader.ts';
import { afterFirstReads } from './first-reads.ts';

/** All services in all environments: what the overview looks at. */

/** The subject of the overview. An environment that cannot be read says why, and no other one waits for it. */
export function openOverview(readers: () => Promise<readonly EnvironmentReader[]>): OpenSubject {
  return async (show, signal) => {
    const all = await readers();
    /** The cells as they were shown last, as text, by environment and service. */
    const shown = new Map<string, string>();
    let isShown = false;
    const tell = (reader: EnvironmentReader) => (news: News) => {
      if (!isShown) return;
      const at = reader.around().now;
      if (news.environment) show({ type: 'environments', at, environments: [reader.state()] });
      const listed = new Set(reader.services());
      const cells = news.services
        .filter((service) => listed.has(service))
        .flatMap((service) => cellIn(reader, service) ?? [])
        .filter((cell) => isNews(shown, cell));
      const gone = [...news.gone, ...news.services.filter((service) => !listed.has(service))]
        .filter((service) => shown.delete(`${reader.env}/${service}`))
        .map((service) => ({ env: reader.env, service }));
      if (cells.length + gone.length > 0) show({ type: 'cells', at, cells, gone });
    };
    await afterFirstReads(all.map((reader) => reader.follow(undefined, tell(reader), signal)));
    isShown = true;
    for (const cell of viewOf(all).cells) isNews(shown, cell);
    return {
      snapshot: (): LiveMessage => ({ type: 'overview', view: viewOf(all) }),
      // A large fleet is shown at once, and what has changed follows.
      async freshen() {
        for (const reader of all) void reader.freshen(undefined);
      },
    };
  };
}

function viewOf(readers: readonly EnvironmentReader[]): OverviewView {
  return {
    at: readers[0]?.around().now ?? Date.now(),
    environments: readers.map((reader) => reader.state()),
    cells: readers.flatMap((reader) => reader.services().flatMap((service) => cellIn(reader, service) ?? [])),
  };
}

function cellIn(reader: EnvironmentReader, service: string): Cell | undefined {
  const facts = reader.facts(service);
  if (facts === undefined) return undefined;
  const around = reader.around();
  return cellOf(facts, instancesOf(facts, around), around);
}

/** Whether the cell is another one than was shown last; remembers it. */
function isNews(shown: Map<string, string>, cell: Cell): boolean {
  const key = `${cell.env}/${cell.service}`;
  const text = JSON.stringify(cell);
  if (shown.get(key) === text) return false;
  shown.set(key, text);
  return true;
}
