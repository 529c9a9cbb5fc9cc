import { expect, test } from 'vitest';
import { createHookRunner } from '../../../../../agent/host/services/hooks.ts';
import { calm } from '../../../../support/host/clock.ts';

const hooks = createHookRunner();
const hook = (script: string, more = {}) => ({
  run: ['/bin/sh', '-c', script],
  timeout: 20_000,
  environment: {},
  ...more,
});

test("a hook gets the deployment's variables, and its own take precedence", async () => {
  const check = 'test "$TRIGGER_DEPLOY_VERSION" = 1.4.2 && test "$PORT" = 8080';
  await hooks.run(
    hook(check, { environment: { PORT: '8080' } }),
    { TRIGGER_DEPLOY_VERSION: '1.4.2', PORT: '1' },
    calm,
  );
});

test('a hook that fails is reported with its exit code, and its output is the detail', async () => {
  await expect(hooks.run(hook('echo no drain today; exit 4'), {}, calm)).rejects.toMatchObject({
    code: 'HOOK_FAILED',
    message: 'hook /bin/sh ended with exit code 4',
    detail: 'no drain today\n',
  });
});

test('a hook that exceeds its timeout is ended and reported with it', async () => {
  await expect(hooks.run(hook('echo waiting; sleep 300', { timeout: 1500 }), {}, calm)).rejects.toMatchObject(
    {
      code: 'HOOK_FAILED',
      message: 'hook /bin/sh was still running after 1.5 s and was ended',
      detail: 'waiting\n',
    },
  );
});

test('a hook that cannot be started is a failed hook', async () => {
  const missing = { run: ['/nowhere/drain'], timeout: 1000, environment: {} };
  await expect(hooks.run(missing, {}, calm)).rejects.toMatchObject({
    code: 'HOOK_FAILED',
    message: expect.stringContaining('/nowhere/drain'),
  });
});

test('an abort is not a failed hook', async () => {
  const signal = AbortSignal.timeout(100);
  await expect(hooks.run(hook('sleep 300'), {}, signal)).rejects.toMatchObject({ name: 'TimeoutError' });
});
