import { describe, expect, test } from 'vitest';
import { changed, EXAMPLE, mistakes, parse } from '../../support/agent/config-fixture.ts';

describe('AWS settings', () => {
  test('a topic in another region is refused', () => {
    expect(mistakes(changed('region: eu-west-1', 'region: us-east-1'))).toEqual([
      'agent.yaml:3: topic: the topic is in eu-west-1, but region is us-east-1',
    ]);
  });

  test.each([
    'trigger-deploy-dev',
    'arn:aws:sqs:eu-west-1:123456789012:trigger-deploy-dev',
    'arn:aws:sns:eu-west-1:12345:trigger-deploy-dev',
    'arn:aws:sns:eu-west-1:123456789012:a:b',
    'arn:aws:sns:eu-west-1:123456789012:',
    '*',
  ])('the topic "%s" is refused', (topic) => {
    const [place = ''] = /arn:\S+/.exec(EXAMPLE) ?? [];
    expect(mistakes(changed(place, `"${topic}"`)).join('\n')).toContain(
      'agent.yaml:3: topic: expected the ARN of an SNS topic',
    );
  });

  test('a FIFO topic, and the topic of another environment, are refused by name', () => {
    const name = ':trigger-deploy-dev';
    expect(mistakes(changed(name, `${name}.fifo`))).toEqual([
      expect.stringContaining(
        'agent.yaml:3: topic: expected the ARN of a standard topic, found a FIFO topic',
      ),
    ]);
    expect(mistakes(changed(name, ':trigger-deploy-prd'))).toEqual([
      'agent.yaml:3: topic: expected the topic trigger-deploy-dev, as env is dev, found trigger-deploy-prd',
    ]);
  });

  test.each(['eu-west-1', 'us-gov-east-1', 'cn-north-1', 'ap-southeast-5', 'eusc-de-east-1'])(
    'the region %s is accepted',
    (region) => {
      expect(parse(EXAMPLE.replaceAll('eu-west-1', region)).region).toBe(region);
    },
  );

  test.each(['eu-west', 'EU-WEST-1', 'eu-west-1a', 'https://sqs.eu-west-1.amazonaws.com', ''])(
    'the region "%s" is refused',
    (region) => {
      expect(mistakes(changed('region: eu-west-1', `region: "${region}"`)).join('\n')).toContain(
        'agent.yaml:2: region: expected an AWS region such as eu-west-1',
      );
    },
  );

  test.each(['s3://acme', 'acme/deploys', 'Acme', 'ab', '-acme', 'a'.repeat(64)])(
    'the bucket "%s" is refused',
    (bucket) => {
      expect(mistakes(changed('bucket: acme-deploys-dev', `bucket: "${bucket}"`)).join()).toContain(
        'bucket: expected the name',
      );
    },
  );

  test('an instance id that cannot be part of a queue name is refused', () => {
    expect(mistakes(`instance: i.1\n${EXAMPLE}`).join()).toContain('agent.yaml:1: instance: ');
    expect(mistakes(`instance: ${'i'.repeat(49)}\n${EXAMPLE}`).join()).toContain('agent.yaml:1: instance: ');
  });
});

describe('traffic', () => {
  const GROUP = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067';
  const balanced = (yaml: string) => `${EXAMPLE}    traffic: ${yaml}\n`;

  test('has target groups and default timeouts longer than the default deregistration delay', () => {
    const { traffic } = parse(balanced(`{ targetGroups: [{ arn: "${GROUP}", port: 8080 }] }`)).services
      .payments as { traffic: unknown };
    expect(traffic).toEqual({
      targetGroups: [{ arn: GROUP, port: 8080 }],
      drainTimeout: 360_000,
      healthyTimeout: 300_000,
    });
  });

  test.each([
    ['no group', '{ targetGroups: [] }', /traffic\.targetGroups: /],
    [
      'a load balancer',
      '{ targetGroups: [{ arn: "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1" }] }',
      /expected the ARN of a target group/,
    ],
    [
      'a group in another region',
      `{ targetGroups: [{ arn: "${GROUP.replace('eu-west-1', 'eu-west-2')}" }] }`,
      /the target group is in eu-west-2, but region is eu-west-1/,
    ],
  ])('is refused with %s', (_what, yaml, mistake) => {
    expect(mistakes(balanced(yaml))).toEqual([expect.stringMatching(mistake)]);
  });
});

describe('tags', () => {
  const tagged = (yaml: string) => parse(`${EXAMPLE}tags: ${yaml}\n`).tags;

  test('are read', () => {
    expect(tagged('{ stack: pr-1234, "team:cost": "" }')).toEqual({ stack: 'pr-1234', 'team:cost': '' });
  });

  test.each([
    ['a number', '{ stack: 1234 }', /tags\.stack: expected text: put it in quotes/],
    ['a long value', `{ stack: ${'v'.repeat(257)} }`, /tags\.stack: expected 256 characters at most/],
    ['a long key', `{ ${'k'.repeat(129)}: v }`, /expected 128 characters at most/],
    ['a control character', '{ stack: "a\\e[31m" }', /tags\.stack: expected no control characters/],
    [
      'too many',
      `{ ${Array.from({ length: 51 }, (_, i) => `k${i}: v`).join(', ')} }`,
      /tags: expected 50 tags at most/,
    ],
  ])('are refused with %s', (_what, yaml, mistake) => {
    expect(mistakes(`${EXAMPLE}tags: ${yaml}\n`)).toEqual([expect.stringMatching(mistake)]);
  });
});
