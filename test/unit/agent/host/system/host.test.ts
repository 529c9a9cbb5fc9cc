import { expect, test } from 'vitest';
import { createHost } from '../../../../../agent/host/system/host.ts';
import { calm } from '../../../../support/host/clock.ts';
import { programsOnPath } from '../../../../support/host/temporary.ts';

const host = createHost();

test('the boot has an id, the same each time', async () => {
  const id = await host.bootId();
  expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(await host.bootId()).toBe(id);
});

test('a machine is stopping when systemd says so, with any exit code', async () => {
  await programsOnPath({ systemctl: 'test "$*" = is-system-running && echo stopping; exit 1' });
  expect(await host.stopping(calm)).toBe(true);
});

test.each(['running', 'degraded', 'starting', 'offline'])(
  'a machine that is %s is not stopping',
  async (state) => {
    await programsOnPath({ systemctl: `echo ${state}; exit 1` });
    expect(await host.stopping(calm)).toBe(false);
  },
);

test('a machine without systemd is never reported as stopping', async () => {
  await programsOnPath({});
  process.env.PATH = '/nowhere';
  expect(await host.stopping(calm)).toBe(false);
});
