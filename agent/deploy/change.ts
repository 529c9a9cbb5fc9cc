import type { Run } from './deployment-run.ts';
import type { Change } from './ports.ts';

/** What the switch that is due in `run` is part of; `stopped` tells whether it stopped the service. */
export function changeOf(run: Run): Change & { stopped(): boolean } {
  const { order, direction, recoveries, previous } = run.active();
  let stopped = false;
  return {
    deployment: order.deployment,
    direction,
    attempt: recoveries + 1,
    again: direction === 'forward' && previous === order.version,
    async stop() {
      await run.ports.manager.stop(run.signal);
      stopped = true;
    },
    stopped: () => stopped,
    note: run.note,
    signal: run.signal,
  };
}
