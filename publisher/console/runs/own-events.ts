import type { PublisherEvent } from '../../events.ts';
import type { OwnEvents } from '../ports.ts';

/** The most events that are kept of a deployment besides the last report of each instance. */
const MOST_EVENTS = 500;

/** What the deployments that this console drives have told: enough for a page that begins to look later. */
export interface EventHub extends OwnEvents {
  /** A command tells; events of no deployment are left out. */
  tell(run: string, event: PublisherEvent): void;
  /** The command no longer drives what it drove; what it told is kept until `forget`. */
  ended(run: string): void;
  forget(run: string): void;
}

interface Told {
  run: string;
  isDriven: boolean;
  others: PublisherEvent[];
  /** The last report of each instance. */
  reports: Map<string, PublisherEvent>;
}

export function createEventHub(): EventHub {
  const deployments = new Map<string, Told>();
  let listeners: { deployment: string; hear: (event: PublisherEvent) => void; signal: AbortSignal }[] = [];
  const dropGone = () => {
    listeners = listeners.filter(({ signal }) => !signal.aborted);
  };
  const drivenBy = (run: string) => [...deployments].filter(([, told]) => told.run === run);
  return {
    tell(run, event) {
      const deployment = deploymentOf(event);
      if (deployment === undefined) return;
      const known = deployments.get(deployment);
      // A command that drives it again tells everything once more.
      const isNew = known === undefined || event.type === 'started';
      const told: Told = isNew ? { run, isDriven: true, others: [], reports: new Map() } : known;
      deployments.set(deployment, told);
      if (event.type === 'report') told.reports.set(event.report.instance, event);
      else if (told.others.length < MOST_EVENTS) told.others.push(event);
      for (const one of listeners) {
        if (one.deployment === deployment && !one.signal.aborted) one.hear(event);
      }
    },
    ended(run) {
      for (const [, told] of drivenBy(run)) told.isDriven = false;
    },
    forget(run) {
      for (const [deployment] of drivenBy(run)) deployments.delete(deployment);
    },
    listen(deployment, hear, signal) {
      if (signal.aborted) return false;
      const told = deployments.get(deployment);
      for (const event of told === undefined ? [] : inOrder(told)) hear(event);
      dropGone();
      listeners.push({ deployment, hear, signal });
      return told?.isDriven ?? false;
    },
  };
}

/** The reports come before the ending, which counts them. */
function inOrder({ others, reports }: Told): PublisherEvent[] {
  const end = others.findIndex(({ type }) => type === 'settled');
  const before = end === -1 ? others : others.slice(0, end);
  return [...before, ...reports.values(), ...others.slice(before.length)];
}

function deploymentOf(event: PublisherEvent): string | undefined {
  if (event.type === 'report') return event.report.deployment;
  return 'deployment' in event ? event.deployment : undefined;
}
