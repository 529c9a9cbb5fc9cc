import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import * as z from 'zod';
import { endingDocument, stateDocuments } from '../../../../agent/metrics/emf.ts';
import { createEmfOutput, toCloudWatchAgent } from '../../../../agent/metrics/emf-output.ts';
import { desiredOf, measured } from '../../../support/agent/metrics-fixture.ts';
import { ORDER, reportOf } from '../../../support/agent/state-fixture.ts';
import { EMF_SCHEMA, emfMistakes } from '../../../support/aws/emf-schema.ts';
import { heldClock } from '../../../support/host/clock.ts';

const schema = z.fromJSONSchema(EMF_SCHEMA);
const PLACE = { namespace: 'TriggerDeploy', logGroup: undefined };
const NOW = 1_800_000_000_000.4;
/** The document of the line, which must be valid. */
const valid = (line: string) => {
  const parsed = schema.safeParse(JSON.parse(line));
  expect([...(parsed.error?.issues ?? []), ...emfMistakes(line)]).toEqual([]);
  return JSON.parse(line);
};

test.each([
  ['with the time of its steps', { prepare: 1200, watch: 10_000 }],
  ['that ended before the first step', {}],
])('the document of a deployment %s is valid', (_, timings) => {
  const report = { ...reportOf(ORDER, 'succeeded'), timings };
  const document = valid(endingDocument(PLACE, report, NOW));
  expect(document).toMatchObject({
    ...{ Environment: 'dev', Service: 'payments', Ending: 'succeeded', Deployments: 1 },
    ...{ Instance: 'i-1', Deployment: ORDER.deployment },
    ...('prepare' in timings ? { PrepareSeconds: 1.2, WatchSeconds: 10 } : {}),
  });
});

test('instance, deployment and version are no dimensions: each would be a metric that is paid for', () => {
  const { metrics, time } = measured();
  time.desired = desiredOf('1.1', 3);
  metrics.read();
  time.now += 1000;
  const since = { refused: 0, oldestMessageSeconds: 2 };
  const lines = [
    endingDocument(PLACE, { ...reportOf(ORDER, 'failed'), error: { code: 'X', message: 'no' } }, NOW),
    ...stateDocuments(PLACE, metrics.read(), since, NOW),
  ];
  const dimensions = lines.flatMap((line) =>
    valid(line)._aws.CloudWatchMetrics.flatMap(({ Dimensions }: { Dimensions: string[][] }) =>
      Dimensions.flat(),
    ),
  );
  expect(new Set(dimensions)).toEqual(new Set(['Environment', 'Service', 'Ending']));
});

test('an agent whose services are well writes one line; a service with drift has one of its own', () => {
  const { metrics, time } = measured();
  const lines = () =>
    stateDocuments(PLACE, metrics.read(), { refused: 0, oldestMessageSeconds: undefined }, NOW);
  expect(lines().map(valid)).toMatchObject([{ Agents: 1, DriftSeconds: 0, OutboxAgeSeconds: 0 }]);
  time.desired = desiredOf('1.1', 3);
  metrics.read();
  time.now += 61_000;
  expect(lines().map(valid)).toMatchObject([{ DriftSeconds: 61 }, { Service: 'payments', DriftSeconds: 61 }]);
});

test('the state is written each minute, with what was refused in that minute, until the agent stops', async () => {
  const { metrics } = measured();
  const { clock, putForward } = heldClock();
  const lines: string[] = [];
  const output = createEmfOutput(PLACE, clock, (line) => lines.push(line));
  const stopping = new AbortController();
  const running = output.run(metrics.read, stopping.signal);
  metrics.refused('SIGNATURE_INVALID');
  output.message(3);
  output.message(1);
  await putForward(120_000);
  stopping.abort();
  await running;
  expect(lines.map(valid)).toMatchObject([
    { RefusedAnnouncements: 1, AnnouncementAgeSeconds: 3 },
    { RefusedAnnouncements: 0 },
  ]);
  expect(lines[1]).not.toContain('AnnouncementAgeSeconds');
});

test('the CloudWatch agent gets a datagram for each document, with the log group; without one, nothing fails', async () => {
  const agent = createSocket('udp4');
  onTestFinished(() => void agent.close());
  agent.bind(0, '127.0.0.1');
  await once(agent, 'listening');
  const { port } = agent.address();
  const write = toCloudWatchAgent({ host: '127.0.0.1', port });
  write(endingDocument({ ...PLACE, logGroup: '/acme' }, reportOf(ORDER, 'succeeded'), NOW));
  const [datagram] = await once(agent, 'message');
  expect(String(datagram)).toMatch(/\n$/);
  expect(valid(String(datagram).trimEnd())._aws.LogGroupName).toBe('/acme');
  const nobody = toCloudWatchAgent({ host: '127.0.0.1', port: 1 });
  nobody('{}');
  nobody('{}');
});
