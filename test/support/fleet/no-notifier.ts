import type { Notifier } from '../../../agent/loop/ports.ts';

/** An agent that no service manager listens to. */
export const NO_NOTIFIER: Notifier = {
  ...{ ready: async () => undefined, status: () => undefined, watchdog: () => undefined },
  ...{ extend: () => undefined, stopping: () => undefined, watchdogMs: undefined },
};
