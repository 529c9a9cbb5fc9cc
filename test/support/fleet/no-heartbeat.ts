import type { Heartbeat } from '../../../agent/loop/ports.ts';

/** An agent whose heartbeat nobody looks at. */
export const NO_HEARTBEAT: Heartbeat = { send: async () => undefined };
