import { computed, signal } from '@preact/signals';
import type {
  Cell,
  ConfigView,
  EnvironmentState,
  ErrorView,
  LiveMessage,
  RunView,
  ServiceView,
} from '../../console/api.ts';
import { applyDeployment, type DeploymentState } from '../deployment/deployment-state.ts';

/** What the page knows. Only `apply` and the functions here change it. */

export const config = signal<ConfigView | undefined>(undefined);

/** Whether what is shown is what the server knows. `stale`: the stream is broken since then, ms. */
export type Liveness = { kind: 'connecting' } | { kind: 'live' } | { kind: 'stale'; since: number };
export const liveness = signal<Liveness>({ kind: 'connecting' });
/** The server's time when what is shown was true, ms. */
export const asOf = signal<number | undefined>(undefined);
/** Why what is shown cannot be read now. */
export const trouble = signal<ErrorView | undefined>(undefined);

/** The cells of the overview, by `cellKey`. A cell that did not change is the same object. */
export const cells = signal<ReadonlyMap<string, Cell> | undefined>(undefined);
export const environmentStates = signal<readonly EnvironmentState[]>([]);
export const service = signal<ServiceView | undefined>(undefined);
export const deployment = signal<DeploymentState | undefined>(undefined);
export const runs = signal<readonly RunView[]>([]);

/** The server's clock less this machine's, ms. */
let ahead = 0;
/** The server's time, to the minute: texts such as `6 min ago` change when it does. */
export const minute = signal(Date.now());
/** The server's time now, ms. */
export const serverNow = () => serverTime(Date.now());
/** What this machine's clock said, by the server's, ms. */
export const serverTime = (at: number) => at + ahead;

/** Keeps `minute` going while the page is shown. Call once. */
export function keepTime(): void {
  const tick = () => {
    if (!document.hidden) minute.value = serverNow();
  };
  setInterval(tick, 60_000);
  document.addEventListener('visibilitychange', tick);
}

const cellKey = ({ env, service }: { env: string; service: string }) => `${env}/${service}`;

/** The environments in the order of the config. */
export const environments = computed(() => config.value?.environments ?? []);

/** Forgets what is shown of one page: another one is opened. */
export function forget(): void {
  cells.value = undefined;
  environmentStates.value = [];
  service.value = undefined;
  deployment.value = undefined;
  trouble.value = undefined;
  asOf.value = undefined;
}

/** Takes what the server says. */
export function apply(message: LiveMessage): void {
  switch (message.type) {
    case 'overview':
      cells.value = new Map(message.view.cells.map((cell) => [cellKey(cell), cell]));
      environmentStates.value = message.view.environments;
      sawData(message.view.at);
      break;
    case 'cells': {
      const next = new Map(cells.peek());
      for (const cell of message.cells) next.set(cellKey(cell), cell);
      for (const gone of message.gone) next.delete(cellKey(gone));
      cells.value = next;
      sawData(message.at);
      break;
    }
    case 'environments': {
      const changed = new Map(message.environments.map((one) => [one.env, one]));
      const known = environmentStates.peek().filter(({ env }) => !changed.has(env));
      environmentStates.value = [...known, ...changed.values()];
      sawData(message.at);
      break;
    }
    case 'service':
      service.value = message.view;
      sawData(message.view.at);
      break;
    case 'deployment':
      deployment.value = applyDeployment(deployment.peek(), message);
      sawData(message.view.at);
      break;
    case 'events':
    case 'progress':
      deployment.value = applyDeployment(deployment.peek(), message);
      sawData(message.at);
      break;
    case 'runs':
      runs.value = message.runs;
      return;
    case 'trouble':
      trouble.value = message.error;
      clockIs(message.at);
      break;
    case 'alive':
      clockIs(message.at);
      // What is shown is still true, but the text of it changes once a minute only: an idle page lays nothing out.
      if (asOf.peek() !== undefined && message.at - (asOf.peek() ?? 0) >= 60_000) asOf.value = message.at;
  }
}

/** Takes what a dialog reads of its service, beside the page below. */
export function applyAside(message: LiveMessage): void {
  if (message.type === 'service') service.value = message.view;
}

function sawData(at: number): void {
  clockIs(at);
  asOf.value = at;
  trouble.value = undefined;
}

function clockIs(at: number): void {
  ahead = at - Date.now();
  // Until now the ages were by this machine's clock, which may be an hour off.
  if (Math.abs(serverNow() - minute.peek()) >= 60_000) minute.value = serverNow();
}
