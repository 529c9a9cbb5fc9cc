import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type * as z from 'zod';
import {
  agentQueueName,
  artifactName,
  envName,
  instanceId,
  isReplyQueueName,
  keys,
  newUlid,
  RESERVED_NAMES,
  replyQueueName,
  serviceName,
  sha256Hex,
  topicName,
  ulid,
  ulidTime,
  versionName,
} from '../../../shared/names.ts';

const accepts = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;
const LATEST_TIME = 2 ** 48 - 1; // ms, the last that a ULID can hold

/** Strings made of what an attacker would try; the accepted ones are what the properties speak of. */
const wild = fc.string({
  unit: fc.constantFrom(...'aZ09.-_+~/\\%:?#&= \n\0éi'.split(''), 'reply-', '..', 'latest'),
  minLength: 1,
  maxLength: 70,
});
/** What `schema` accepts, out of well-formed and of wild strings. */
const accepted = (schema: z.ZodType<string>, form: RegExp) =>
  fc.oneof(fc.stringMatching(form), wild).filter((value) => accepts(schema, value));

const env = accepted(envName, /^[a-z0-9]{1,16}$/);
const service = accepted(serviceName, /^[a-z][a-z0-9_-]{0,62}$/);
const version = accepted(versionName, /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/);
const artifact = accepted(artifactName, /^\.?[A-Za-z0-9_][A-Za-z0-9._+~@ -]{0,126}$/);
const instance = accepted(instanceId, /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/);
const digest = accepted(sha256Hex, /^[0-9a-f]{64}$/);
const id = fc.integer({ min: 0, max: LATEST_TIME }).map(newUlid);

describe('names that are accepted', () => {
  test.each<[string, z.ZodType, string[]]>([
    ['environment', envName, ['dev', 'prd', '1', 'a'.repeat(16)]],
    [
      'service',
      serviceName,
      ['payments', 'edge-proxy', 'pay_ments', 'a', 'p2', 'deployer', `a${'b'.repeat(62)}`],
    ],
    ['version', versionName, ['1.4.2', '1.4.2-rc.1+build~7', 'v1', 'Latest', 'latest-1', 'a'.repeat(64)]],
    ['instance', instanceId, ['i-0a1b2c3d', 'host_1', 'reply', 'i'.repeat(48)]],
    [
      'artifact',
      artifactName,
      [
        ...['payments.jar', 'application-dev.yaml', 'a+b_1.2~3_amd64.deb', 'a'.repeat(128)],
        ...['.env', '.env.prd', 'my settings.yml', '_defaults.yml', 'application@prd.yml', '.package'],
      ],
    ],
    ['sha256', sha256Hex, ['0123456789abcdef'.repeat(4)]],
    ['ULID', ulid, ['01JDB2Z3Y4X5W6V7T8S9R0QPNM', `7${'Z'.repeat(25)}`]],
  ])('a %s', (_, schema, values) => {
    for (const value of values) expect(accepts(schema, value), value).toBe(true);
  });
});

describe('names that are refused', () => {
  test.each<[string, z.ZodType, unknown[]]>([
    ['environment', envName, ['', 'Dev', 'dev-1', 'dev/', 'dev.', 'a'.repeat(17), 'dev\n', 1, null]],
    [
      'service',
      serviceName,
      ['', 'Payments', '1a', '-a', '_a', 'a.b', 'a/b', `a${'b'.repeat(63)}`, 'a\n', 'é'],
    ],
    [
      'version',
      versionName,
      ['', '.1', '-1', '~1', '1/2', '1 2', '1\\2', '1%2f', '1\n', 'a'.repeat(65), '1\0', 1],
    ],
    ['instance', instanceId, ['', '-i', '_i', 'i.1', 'i/1', 'i'.repeat(49), 'i\n', 'i:1']],
    [
      'artifact',
      artifactName,
      [
        ...['', '.', '-rf', '.-rf', '. a', ' a', 'a ', 'a/b', 'a\\b', 'a'.repeat(129), 'a\0', 'a\n', 'a\tb'],
        ...['~', '~/a', '@a', 'a%2fb', 'a\u00a0b', '/a', './a', '.env\n'],
      ],
    ],
    [
      'sha256',
      sha256Hex,
      ['', 'a'.repeat(63), 'a'.repeat(65), 'A'.repeat(64), 'g'.repeat(64), `${'a'.repeat(64)}\n`],
    ],
    [
      'ULID',
      ulid,
      ['', '01JDB2', `8${'Z'.repeat(25)}`, '01JDB2Z3Y4X5W6V7T8S9R0QPNI', '01jdb2z3y4x5w6v7t8s9r0qpnm'],
    ],
  ])('a %s of another form', (_, schema, values) => {
    for (const value of values) expect(accepts(schema, value), String(value)).toBe(false);
  });

  test.each(RESERVED_NAMES)('a service named like the verb %s', (verb) => {
    expect(accepts(serviceName, verb)).toBe(false);
  });

  test.each(['1..2', '1.2..', 'a..', 'a.../b'])('a version with ".."', (name) => {
    expect(accepts(versionName, name)).toBe(false);
    expect(accepts(artifactName, name)).toBe(false);
  });

  test('the version "latest", which is an alias of another', () => {
    expect(accepts(versionName, 'latest')).toBe(false);
  });

  test('an instance whose queue would look like a reply queue', () => {
    expect(accepts(instanceId, 'reply-01JDB2Z3Y4X5W6V7T8S9R0QPNM')).toBe(false);
  });
});

describe('keys in the bucket', () => {
  test('a key built from accepted names has exactly its own segments, none empty and none of dots', () => {
    fc.assert(
      fc.property(env, service, version, artifact, instance, digest, id, (e, s, v, a, i, sha, d) => {
        const built: [string, number][] = [
          [keys.artifact(s, v, sha, a), 5],
          [keys.manifest(s, v), 4],
          [keys.index(s), 3],
          [keys.lock(e, s), 4],
          [keys.desired(e, s), 4],
          [keys.deployment(e, s, d), 6],
          [keys.report(e, s, d, i), 7],
          [keys.instance(e, s, i), 5],
          [keys.pause(e), 3],
        ];
        for (const [key, segments] of built) {
          expect(key).not.toContain('..');
          expect(key.split('/')).toHaveLength(segments);
          expect(key.split('/')).not.toContain('');
          expect(key.split('/')).not.toContain('.');
          expect(key).toMatch(/^[A-Za-z0-9._+~@ /-]+$/);
        }
      }),
    );
  });

  test('what is listed by a prefix begins with it', () => {
    fc.assert(
      fc.property(env, service, version, instance, id, (e, s, v, i, d) => {
        expect(keys.manifest(s, v).startsWith(keys.artifacts(s))).toBe(true);
        expect(keys.desired(e, s).startsWith(keys.services(e))).toBe(true);
        expect(keys.deployment(e, s, d).startsWith(keys.deployments(e, s))).toBe(true);
        expect(keys.report(e, s, d, i).startsWith(keys.reports(e, s, d))).toBe(true);
        expect(keys.instance(e, s, i).startsWith(keys.instances(e, s))).toBe(true);
      }),
    );
  });

  test('two services never share a key, though one name begins with the other', () => {
    fc.assert(
      fc.property(service, version, (s, v) => {
        expect(keys.manifest(`${s}x`, v).startsWith(keys.artifacts(s))).toBe(false);
      }),
    );
  });
});

describe('names of queues and topics', () => {
  const AWS_NAME = /^[A-Za-z0-9_-]{1,80}$/;

  test('a queue or topic built from accepted names is one that SQS and SNS take', () => {
    fc.assert(
      fc.property(env, instance, id, (e, i, d) => {
        for (const name of [agentQueueName(e, i), replyQueueName(e, d), topicName(e)]) {
          expect(name).toMatch(AWS_NAME);
        }
      }),
    );
  });

  test('the longest names fill the 80 characters and no more', () => {
    expect(agentQueueName('e'.repeat(16), 'i'.repeat(48))).toHaveLength(80);
  });

  test('the queue of an instance is never a reply queue', () => {
    fc.assert(
      fc.property(env, fc.oneof(instance, wild), (e, i) => {
        fc.pre(accepts(instanceId, i));
        expect(isReplyQueueName(e, agentQueueName(e, i))).toBe(false);
      }),
    );
  });

  test('two instances, in whichever environments, never share a queue', () => {
    fc.assert(
      fc.property(env, instance, env, instance, (e1, i1, e2, i2) => {
        fc.pre(e1 !== e2 || i1 !== i2);
        expect(agentQueueName(e1, i1)).not.toBe(agentQueueName(e2, i2));
      }),
    );
  });

  test('a reply queue of this environment is one', () => {
    fc.assert(fc.property(env, id, (e, d) => isReplyQueueName(e, replyQueueName(e, d))));
  });

  const ID = '01JDB2Z3Y4X5W6V7T8S9R0QPNM';
  test.each([
    ['of another environment', `trigger-deploy-stg-reply-${ID}`],
    ['of an instance', 'trigger-deploy-dev-i-0a1b2c3d'],
    ['without an id', 'trigger-deploy-dev-reply-'],
    ['with half an id', `trigger-deploy-dev-reply-${ID.slice(1)}`],
    ['with something after the id', `trigger-deploy-dev-reply-${ID}x`],
    ['with a line break after the id', `trigger-deploy-dev-reply-${ID}\n`],
    ['by URL', `https://sqs.eu-west-1.amazonaws.com/123456789012/trigger-deploy-dev-reply-${ID}`],
    ['of another program', 'orders'],
    ['without a name', ''],
  ])('a queue %s is no reply queue', (_, name) => {
    expect(isReplyQueueName('dev', name)).toBe(false);
  });
});

describe('ULIDs', () => {
  const time = fc.integer({ min: 0, max: LATEST_TIME });

  test('a new one is well-formed and holds its time', () => {
    fc.assert(
      fc.property(time, (now) => {
        const made = newUlid(now);
        expect(accepts(ulid, made)).toBe(true);
        expect(ulidTime(made)).toBe(now);
      }),
    );
  });

  test('one of a later millisecond sorts after one of an earlier', () => {
    const pair = fc.oneof(
      fc.tuple(time, time),
      time.map((now): [number, number] => [now, Math.min(now + 1, LATEST_TIME)]),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        fc.pre(a !== b);
        expect(newUlid(a) < newUlid(b)).toBe(a < b);
      }),
    );
  });

  test('those of one millisecond differ', () => {
    const made = Array.from({ length: 1000 }, () => newUlid(1_700_000_000_000));
    expect(new Set(made).size).toBe(1000);
  });
});
