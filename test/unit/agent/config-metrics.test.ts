import { expect, test } from 'vitest';
import { metricsConfig } from '../../../agent/config-metrics.ts';

test('metrics go to the log, to the CloudWatch agent, to a scraper on this machine, or to several of them', () => {
  expect(metricsConfig.parse({ emf: 'log', prometheus: '127.0.0.1:9464' })).toEqual({
    ...{ emf: 'log', namespace: 'TriggerDeploy', logGroup: '/trigger-deploy/agent' },
    prometheus: { host: '127.0.0.1', port: 9464 },
  });
  expect(metricsConfig.parse({ prometheus: '[::1]:9464' }).prometheus).toEqual({ host: '::1', port: 9464 });
  expect(
    metricsConfig.parse({ emf: 'cloudwatch-agent', namespace: 'Acme/Deploy', logGroup: '/acme' }),
  ).toEqual({
    ...{ emf: 'cloudwatch-agent', namespace: 'Acme/Deploy', logGroup: '/acme' },
  });
});

test.each([
  '0.0.0.0:9464',
  '10.0.0.1:9464',
  '[::]:9464',
  'localhost:9464',
  '127.0.0.1',
  '127.0.0.256:9464',
  '127.0.0.1:0',
  '127.0.0.1:70000',
  '127.0.0.1:9464/x',
  '127.0.0.1.example.com:9464',
  ':9464',
  9464,
])('nobody but this machine may read them: %s is refused', (prometheus) => {
  expect(metricsConfig.safeParse({ prometheus }).success).toBe(false);
});

test.each([
  {},
  { namespace: 'Acme' },
  { emf: true },
  { emf: 'log', namespace: 'AWS/EC2' },
  { emf: 'log', logGroup: 'a b' },
])('a mistake is refused: %o', (metrics) => {
  expect(metricsConfig.safeParse(metrics).success).toBe(false);
});
