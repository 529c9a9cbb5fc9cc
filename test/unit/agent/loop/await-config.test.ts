import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isRestartOfUnit } from '../../../../agent/host/services/own-unit.ts';
import { awaitConfig } from '../../../../agent/loop/await-config.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { programsOnPath, temporaryDirectory } from '../../../support/host/temporary.ts';

const mistake = (detail: string) =>
  new TriggerDeployError('CONFIG_INVALID', 'agent.yaml has 1 mistake', { detail });

/** Loads the config once for each of `results`; an error in it is thrown. */
async function load(results: readonly unknown[], isRestart: boolean) {
  const left = [...results];
  const seen = { told: [] as string[], statuses: [] as string[], slept: 0 };
  let ms = 0;
  const result = await awaitConfig(
    async () => {
      const next = left.shift();
      if (next instanceof Error) throw next;
      return next;
    },
    {
      isRestart: async () => isRestart,
      notifier: { status: (text) => void seen.statuses.push(text) },
      clock: {
        now: () => 0,
        monotonic: () => ms,
        async sleep(pause) {
          ms += pause;
          seen.slept++;
        },
      },
      tell: (error) => void seen.told.push(error.detail ?? ''),
    },
    new AbortController().signal,
  ).catch((error: unknown) => error);
  return { result, ...seen };
}

test('the first start fails at once, and its status says which file has which mistake', async () => {
  const first = mistake('agent.yaml:3: region');
  expect(await load([first, 'config'], false)).toMatchObject({
    result: first,
    statuses: ['agent.yaml has 1 mistake\nagent.yaml:3: region'],
    slept: 0,
  });
});

test('the start that follows waits until the config is corrected, and tells the mistake once', async () => {
  const one = mistake('agent.yaml:3: region');
  const waited = await load([one, one, one, 'config'], true);
  expect(waited).toMatchObject({ result: 'config', told: ['agent.yaml:3: region'], slept: 3 });
});

test('a start that waits fails when the config has another mistake, and after 75 s in any case', async () => {
  const [one, other] = [mistake('agent.yaml:3: region'), mistake('agent.yaml:4: topic')];
  expect(await load([one, one, other, 'config'], true)).toMatchObject({
    result: other,
    statuses: [
      'agent.yaml has 1 mistake\nagent.yaml:3: region',
      'agent.yaml has 1 mistake\nagent.yaml:4: topic',
    ],
    slept: 2,
  });
  expect(await load(Array(100).fill(one), true)).toMatchObject({ result: one, slept: 38 });
});

test('a key that cannot be used is waited for, another error is not', async () => {
  const key = new TriggerDeployError('KEY_INVALID', 'ci.pub.json does not exist');
  const locked = new TriggerDeployError('LOCKED', 'another agent runs');
  expect(await load([key, locked, 'config'], true)).toMatchObject({ result: locked, slept: 1 });
});

test('a process knows whether systemd itself started it again', async () => {
  const groups = join(await temporaryDirectory(), 'cgroup');
  await writeFile(groups, '0::/system.slice/trigger-deploy-agent.service\n');
  await programsOnPath({
    systemctl: `[ "$2" = trigger-deploy-agent.service ] || exit 1
printf 'InvocationID=abc\\nNRestarts=2\\n'`,
  });
  const unit = { NOTIFY_SOCKET: '/run/systemd/notify', INVOCATION_ID: 'abc' };
  expect(await isRestartOfUnit(unit, groups)).toBe(true);
  expect(await isRestartOfUnit({ ...unit, INVOCATION_ID: 'of the shell' }, groups)).toBe(false);
  expect(await isRestartOfUnit({ INVOCATION_ID: 'abc' }, groups)).toBe(false);
});
