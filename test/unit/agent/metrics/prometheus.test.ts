import { expect, test } from 'vitest';
import { exposition } from '../../../../agent/metrics/prometheus.ts';
import { parseExposition } from '../../../support/agent/exposition.ts';
import { measured } from '../../../support/agent/metrics-fixture.ts';
import { endedBy } from '../../../support/agent/state-fixture.ts';
import { calm } from '../../../support/host/clock.ts';

const sampleOf = (text: string, name: string, labels: Record<string, string> = {}) =>
  parseExposition(text).find(
    (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  )?.value;

test('the text is of the format, before anything happened and after', async () => {
  const { metrics, journal } = measured();
  const before = exposition(metrics.read());
  expect(sampleOf(before, 'trigger_deploy_deployments_total', { ending: 'succeeded' })).toBe(0);
  await (await journal()).append(endedBy('rolled-back'));
  const inbox = metrics.inbox({
    ensure: async () => undefined,
    resubscribe: async () => false,
    delete: async () => undefined,
    receive: async () => [],
  });
  await inbox.receive(calm);
  metrics.refused('SIGNATURE_INVALID');
  const after = exposition(metrics.read());
  const labels = { service: 'payments', ending: 'rolled-back' };
  expect(sampleOf(after, 'trigger_deploy_deployments_total', labels)).toBe(1);
  expect(sampleOf(after, 'trigger_deploy_announcements_refused_total', { code: 'SIGNATURE_INVALID' })).toBe(
    1,
  );
  expect(sampleOf(after, 'trigger_deploy_agent_info', { instance: 'i-1', env: 'dev' })).toBe(1);
  expect(sampleOf(after, 'trigger_deploy_last_receive_timestamp_seconds')).toBeGreaterThan(1.7e9);
  expect(sampleOf(before, 'trigger_deploy_last_receive_timestamp_seconds')).toBeUndefined();
});

test('the number of series depends on the services only', async () => {
  const { metrics, journal } = measured();
  const count = () => parseExposition(exposition(metrics.read())).length;
  const before = count();
  const kept = await journal();
  for (const ending of ['succeeded', 'failed', 'broken'] as const) await kept.append(endedBy(ending));
  expect(count()).toBe(before);
});

test('a value with quotes, backslashes and line feeds is escaped', () => {
  const hostile = 'a"b\\c\nd';
  const { metrics } = measured({
    identity: { env: 'dev', instance: hostile, zone: undefined, agentVersion: '1' },
  });
  const [info] = parseExposition(exposition(metrics.read()));
  expect(info?.labels.instance).toBe(hostile);
});
