import { expect, test } from 'vitest';
import type { DeployableService } from '../../../../agent/commands/deps.ts';
import { follow } from '../../../../agent/commands/follow-order.ts';
import { initialState, type ServiceState } from '../../../../agent/deploy/state.ts';
import { started, withActive, withWaiting } from '../../../../agent/deploy/state-transitions.ts';

const DEPLOYMENT = '01M8DDHNYNJZBD661B2PYYD2VA';

test('the rollback of a first deployment names no version', async () => {
  const waiting = withWaiting(initialState('i-1', 'payments'), {
    ...{ deployment: DEPLOYMENT, service: 'payments', sequence: 0, version: '1', action: 'deploy' },
    ...{ artifacts: [], source: 'local', hold: false },
  });
  const active = started(waiting, { bootId: 'b', now: 0 });
  const states: ServiceState[] = [
    withActive(active, { direction: 'back', state: 'switching', previous: null }),
    { ...initialState('i-1', 'payments'), over: [DEPLOYMENT] },
  ];
  const lines: string[] = [];
  const service = { name: 'payments', state: async () => states.shift() } as DeployableService;
  const deps = { service, runningAgent: async () => undefined };
  expect(await follow(deps, DEPLOYMENT, (line) => lines.push(line))).toBe(false);
  expect(lines[0]).toMatch(/ payments switching \(rolling back to no version\)$/);
});
