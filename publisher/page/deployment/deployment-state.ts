import type { DeploymentView, LiveMessage } from '../../console/api.ts';
import type { PublisherEvent } from '../../events.ts';
import { applyEvents, emptyView, type View } from '../../render/deployment-view.ts';
import { noStages, type Stages, stagesAfter } from './stages.ts';

/** A deployment as the page knows it: the view of the server, and what its events fold to. */
export interface DeploymentState {
  view: DeploymentView;
  /** The instances, as the terminal's table has them. */
  table: View;
  /** The waves and the checks. */
  stages: Stages;
}

type DeploymentMessage = Extract<LiveMessage, { type: 'deployment' | 'events' | 'progress' }>;

/** The state after a message; undefined before the first snapshot. Pure. */
export function applyDeployment(
  before: DeploymentState | undefined,
  message: DeploymentMessage,
): DeploymentState | undefined {
  switch (message.type) {
    case 'deployment': {
      const { view } = message;
      return { view, table: applyEvents(emptyView, view.events), stages: stagesAfter(noStages, view.events) };
    }
    case 'events':
      return (
        before && {
          ...before,
          table: applyEvents(before.table, message.events),
          stages: stagesAfter(before.stages, message.events),
        }
      );
    case 'progress': {
      if (before === undefined) return undefined;
      const { driver, underWay, decisions = before.view.decisions } = message;
      const { underWay: _, ...view } = before.view;
      return { ...before, view: { ...view, driver, decisions, ...(underWay && { underWay }) } };
    }
  }
}

/** The same messages with events that follow each other in one: folding them costs a copy of the rows. Pure. */
export function joinEvents(messages: readonly LiveMessage[]): LiveMessage[] {
  const joined: LiveMessage[] = [];
  let run: PublisherEvent[] | undefined;
  for (const message of messages) {
    if (message.type !== 'events') {
      run = undefined;
      joined.push(message);
    } else if (run === undefined) {
      run = [...message.events];
      joined.push({ ...message, events: run });
    } else run.push(...message.events);
  }
  return joined;
}
