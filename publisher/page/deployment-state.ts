import type { DeploymentView, LiveMessage } from '../console/api.ts';
import { applyEvent, emptyView, type View } from '../render/deployment-view.ts';

/** A deployment as the page knows it: the view of the server, and what its events fold to. */
export interface DeploymentState {
  view: DeploymentView;
  /** The instances, as the terminal's table has them. */
  table: View;
}

type DeploymentMessage = Extract<LiveMessage, { type: 'deployment' | 'events' | 'progress' }>;

/** The state after a message; undefined before the first snapshot. Pure. */
export function applyDeployment(
  before: DeploymentState | undefined,
  message: DeploymentMessage,
): DeploymentState | undefined {
  switch (message.type) {
    case 'deployment':
      return { view: message.view, table: message.view.events.reduce(applyEvent, emptyView) };
    case 'events':
      return before && { ...before, table: message.events.reduce(applyEvent, before.table) };
    case 'progress': {
      if (before === undefined) return undefined;
      const { driver, underWay, decisions = before.view.decisions } = message;
      const { underWay: _, ...view } = before.view;
      return { ...before, view: { ...view, driver, decisions, ...(underWay && { underWay }) } };
    }
  }
}
