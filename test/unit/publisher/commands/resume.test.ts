import { expect, it } from 'vitest';
import { confirm } from '../../../../publisher/commands/confirm.ts';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { deployed, openStageForEach, options, stage } from '../../../support/publisher/deploy-fixture.ts';
import { never } from '../../../support/publisher/stage.ts';

openStageForEach();

const GATED: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'person', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
const newest = async () => {
  const found = await (await stage.open()).record.deployments.newest('payments');
  if (found === undefined) throw new Error('no deployment');
  return found;
};

it('while a resumed deployment runs, its record has no outcome: the former one is gone', async () => {
  await deployed(undefined, undefined);
  const detach = new AbortController();
  const first = await stage.open();
  const deploying = deploy(first, options({ strategy: GATED, detach: detach.signal }));
  const waits = (events: typeof first.events) => events.some((event) => event.type === 'waiting');
  await expect.poll(() => waits(first.events), { timeout: 10_000 }).toBe(true);
  detach.abort();
  expect(await deploying).toBe(3);
  const stored = await newest();
  await first.record.deployments.update(stored, {
    ...{ status: 'timed-out', exitCode: 3, settledAt: new Date().toISOString(), outcome: 'did not finish' },
    ...{ counts: { silent: 2 }, silent: ['i-1', 'i-2'], tookMs: 1, results: {} },
  });

  const other = await stage.open();
  const { deployment } = stored.value;
  const resuming = resume(other, { deployment, detach: never() });
  await expect.poll(() => other.events.length, { timeout: 10_000 }).toBeGreaterThan(0);
  const { value: running } = await newest();
  expect(running.status).toBe('announced');
  const verdict = ['exitCode', 'settledAt', 'outcome', 'counts', 'silent', 'tookMs', 'results'];
  expect(Object.keys(running).filter((key) => verdict.includes(key))).toEqual([]);

  await confirm(await stage.open(), { deployment });
  expect(await resuming).toBe(0);
  expect((await newest()).value).toMatchObject({ status: 'succeeded', exitCode: 0 });
});
