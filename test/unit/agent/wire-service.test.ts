import { expect, test } from 'vitest';
import { createManager } from '../../../agent/wire-service.ts';
import { systemClock } from '../../support/host/clock.ts';

test('the commands of a manager know environment and service, and the config takes precedence', async () => {
  const check = 'test "$TRIGGER_DEPLOY_ENV $TRIGGER_DEPLOY_SERVICE $PORT" = "stg payments 8080"';
  const idle = ['/bin/true'];
  const manager = createManager(
    {
      manager: {
        ...{ type: 'command', start: idle, stop: idle, status: ['/bin/sh', '-c', check] },
        ...{ startTimeout: 1000, stopTimeout: 1000 },
        environment: { PORT: '8080', TRIGGER_DEPLOY_ENV: 'stg' },
      },
    },
    { env: 'dev', service: 'payments' },
    systemClock,
  );
  expect(await manager.status(AbortSignal.timeout(60_000))).toMatchObject({ active: true });
});
