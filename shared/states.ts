/** The states and the steps of a deployment on an instance. Pure: the console's page runs it in a browser. */

export const PROGRESS_STATES = [
  'accepted',
  'preparing',
  'prepared',
  'draining',
  'switching',
  'starting',
  'checking',
  'watching',
] as const;
export const ENDINGS = [
  /** The announced version runs and is healthy. */
  'succeeded',
  /** The deployment failed before the switch: the instance still runs the old release. */
  'failed',
  /** The old release runs again and is healthy. After a first deployment: the unit is stopped, `current` is removed. */
  'rolled-back',
  /** The rollback failed, too: a person must repair the service. */
  'broken',
  'superseded',
  'cancelled',
  'rejected',
] as const;

export type ProgressState = (typeof PROGRESS_STATES)[number];
export type Ending = (typeof ENDINGS)[number];
export type State = ProgressState | Ending;

/** The position of each state in the order of a deployment. */
export const ORDER_OF_STATES = Object.fromEntries(PROGRESS_STATES.map((state, i) => [state, i])) as Record<
  ProgressState,
  number
>;

export const isEnding = (state: State): state is Ending => (ENDINGS as readonly string[]).includes(state);

/** The steps of a deployment, in order. A report has the time of each step under its name. */
export const STEPS = ['prepare', 'drain', 'switch', 'start', 'check', 'watch', 'commit', 'rollback'] as const;
export type Step = (typeof STEPS)[number];
