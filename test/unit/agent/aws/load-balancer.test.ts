import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createLoadBalancer, type LoadBalancerOptions } from '../../../../agent/aws/load-balancer.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { createAws } from '../../../../shared/aws.ts';
import { rejection } from '../../../support/aws/fixture.ts';
import { type FakeElb, startFakeElb } from '../../../support/cloud/fake-elb.ts';

const WEB = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067';
const API = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/api/73e2d6bc24d8a068';
const ME = 'i-0a1';

async function world(options: Partial<LoadBalancerOptions> = {}) {
  const elb = await startFakeElb();
  const credentials = {
    AWS_ACCESS_KEY_ID: 'session-i-0a',
    AWS_SECRET_ACCESS_KEY: 'anything',
    AWS_PROFILE: '',
  };
  for (const [name, value] of Object.entries({ ...elb.env, ...credentials })) vi.stubEnv(name, value);
  const aws = createAws({ region: 'eu-west-1' });
  onTestFinished(async () => {
    aws.close();
    vi.unstubAllEnvs();
    await elb.stop();
  });
  const balancer = createLoadBalancer({
    aws,
    instance: ME,
    targetGroups: [{ arn: WEB }],
    drainTimeout: 5000,
    healthyTimeout: 5000,
    polls: { first: 5, longest: 10 },
    ...options,
  });
  const notes: string[] = [];
  return { elb, balancer, notes, note: (text: string) => void notes.push(text) };
}

const actionsOf = (elb: FakeElb) => elb.calls.filter((call, i) => call !== elb.calls[i - 1]);

describe('the groups an instance is in', () => {
  test('are those it is registered with', async () => {
    const { elb, balancer } = await world({ targetGroups: [{ arn: WEB }, { arn: API }] });
    elb.register(WEB, ME);
    elb.register(API, 'i-0b2');
    expect(await balancer.groups(NEVER)).toEqual([WEB]);
  });

  test('are distinguished by their ports', async () => {
    const targetGroups = [
      { arn: WEB, port: 8080 },
      { arn: WEB, port: 8081 },
    ];
    const { elb, balancer } = await world({ targetGroups });
    elb.register(WEB, ME, 8081);
    expect(await balancer.groups(NEVER)).toEqual([`${WEB}:8081`]);
  });

  test('include an unhealthy target, and not a draining one', async () => {
    const { elb, balancer } = await world({ targetGroups: [{ arn: WEB }, { arn: API }] });
    elb.isHealthy = () => false;
    elb.delayMs = 60_000;
    elb.register(WEB, ME);
    elb.register(API, ME);
    const stop = new AbortController();
    await rejection(balancer.leave([API], () => stop.abort('stopping'), stop.signal));
    expect(elb.stateOf(API, ME)).toBe('draining');
    expect(await balancer.groups(NEVER)).toEqual([WEB]);
  });
});

describe('leaving', () => {
  test('ends when the draining has ended', async () => {
    const { elb, balancer, notes, note } = await world({ targetGroups: [{ arn: WEB, port: 8080 }] });
    elb.delayMs = 500;
    elb.register(WEB, ME, 8080);
    await balancer.leave([`${WEB}:8080`], note, NEVER);
    expect(elb.stateOf(WEB, ME, 8080)).toBe('unused');
    expect(actionsOf(elb)).toEqual([`DeregisterTargets web ${ME}`, `DescribeTargetHealth web ${ME}`]);
    expect(notes[0]).toBe('web:8080: draining (Target.DeregistrationInProgress)');
  });

  test('a group that was left before ends at once', async () => {
    const { elb, balancer, note } = await world();
    await balancer.leave([WEB], note, NEVER);
    expect(elb.calls).toHaveLength(2);
  });

  test('that takes too long fails, and reports the last state', async () => {
    const { elb, balancer, note } = await world({ drainTimeout: 800 });
    elb.delayMs = 60_000;
    elb.register(WEB, ME);
    expect(await rejection(balancer.leave([WEB], note, NEVER))).toMatchObject({
      code: 'TRAFFIC_FAILED',
      message: 'cannot drain from web: draining (Target.DeregistrationInProgress) after 800 ms',
    });
  });

  test('ends with the reason of an abort', async () => {
    const { elb, balancer } = await world();
    elb.delayMs = 60_000;
    elb.register(WEB, ME);
    const stop = new AbortController();
    const note = () => stop.abort('stopping');
    expect(await rejection(balancer.leave([WEB], note, stop.signal))).toBe('stopping');
  });
});

describe('joining', () => {
  test('registers, and is healthy once the load balancer says so', async () => {
    const { elb, balancer, notes, note } = await world();
    elb.checkMs = 500;
    await balancer.join([WEB], NEVER);
    await balancer.healthy([WEB], note, NEVER);
    expect(elb.stateOf(WEB, ME)).toBe('healthy');
    expect(notes[0]).toBe('web: initial (Elb.InitialHealthChecking)');
  });

  test('a group that is no longer in the config works', async () => {
    const { elb, balancer } = await world();
    await balancer.join([`${API}:8080`], NEVER);
    expect(elb.stateOf(API, ME, 8080)).not.toBe('unused');
  });

  test('an instance that stays unhealthy fails, with the reason of the load balancer', async () => {
    const { elb, balancer, note } = await world({ healthyTimeout: 150 });
    elb.isHealthy = () => false;
    await balancer.join([WEB], NEVER);
    expect(await rejection(balancer.healthy([WEB], note, NEVER))).toMatchObject({
      code: 'TRAFFIC_FAILED',
      message: 'cannot become healthy in web: unhealthy (Target.FailedHealthChecks) after 150 ms',
    });
  });
});

describe('an API', () => {
  test('that throttles is retried', async () => {
    const { elb, balancer } = await world();
    elb.register(WEB, ME);
    elb.fail('DescribeTargetHealth', { status: 400, code: 'ThrottlingException' }, 6);
    expect(await balancer.groups(NEVER)).toEqual([WEB]);
  });

  test.each([
    ['denies', { status: 403, code: 'AccessDenied' }, /AWS refuses \(AccessDenied/],
    ['knows no such group', { status: 400, code: 'TargetGroupNotFound' }, /as the test wants it/],
  ])('that %s fails at once', async (_what, error, message) => {
    const { elb, balancer } = await world();
    elb.fail('DescribeTargetHealth', error);
    expect(await rejection(balancer.groups(NEVER))).toMatchObject({
      code: 'TRAFFIC_FAILED',
      message: expect.stringMatching(message),
    });
    expect(elb.calls).toHaveLength(1);
  });
});

describe('the check', () => {
  test('reports the state of the instance, and the deregistration delay', async () => {
    const { elb, balancer } = await world({ targetGroups: [{ arn: WEB }, { arn: API }] });
    elb.register(WEB, ME);
    expect(await balancer.probe(NEVER)).toEqual([
      { ok: true, what: 'i-0a1 is healthy in the target group web' },
      { ok: true, what: 'i-0a1 is not in the target group api; deployments do not register it there' },
      { ok: true, what: 'the target group web drains for 1 s' },
      { ok: true, what: 'the target group api drains for 1 s' },
    ]);
    expect(elb.calls.some((call) => /^(Der|R)egister/.test(call))).toBe(false);
  });

  test('finds a deregistration delay longer than drainTimeout', async () => {
    const { elb, balancer } = await world();
    elb.delayMs = 300_000;
    elb.register(WEB, ME);
    const [, delay] = await balancer.probe(NEVER);
    expect(delay).toMatchObject({ ok: false, what: expect.stringContaining('every deployment would fail') });
  });

  test('finds a group that it may not read', async () => {
    const { elb, balancer } = await world();
    elb.fail('DescribeTargetHealth', { status: 403, code: 'AccessDenied' });
    const [seen] = await balancer.probe(NEVER);
    expect(seen).toMatchObject({ ok: false, what: expect.stringContaining('AWS refuses') });
  });
});
