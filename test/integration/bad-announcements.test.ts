import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { deploy, push } from '../support/commands.ts';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { ENV, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import {
  announceByHand,
  announcementOf,
  type Fields,
  forge,
  handled,
  storedText,
  trustedKey,
} from '../support/publisher/announcements.ts';

/** What no honest publisher says, on the topic or in the queue: the agent logs why it refuses, and goes on. */

let fleet: Fleet;
let instance: Instance;
let key: Awaited<ReturnType<typeof trustedKey>>;

beforeAll(async () => {
  fleet = await startFleet();
  instance = await fleet.addInstance('i-0a1', undefined, { logLevel: 'debug' });
  key = await trustedKey(fleet);
  await push(fleet, '1.0.0');
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

const signed = (change: Fields = {}) => forge({ key, payload: announcementOf(fleet, '1.1.0', change) });
/** What the agent makes of what comes next; `accepted` would be the wrong thing. */
const refusal = () =>
  nextLogged(instance, ({ msg }) => msg.startsWith('announcement refused') || msg === 'accepted');

/** Every way to be refused, and what is logged for it. */
const REFUSED: Record<string, { code: string; why: string; text: () => string }> = {
  'for another environment': {
    code: 'WRONG_ENVIRONMENT',
    why: 'it is for environment prd; this is dev',
    text: () => signed({ env: 'prd' }),
  },
  'without a signature (alg none)': {
    code: 'SIGNATURE_INVALID',
    why: 'no signature',
    text: () =>
      forge({
        key,
        payload: announcementOf(fleet, '1.1.0'),
        header: { alg: 'none' },
        signature: () => Buffer.alloc(0),
      }),
  },
  'with alg none above a signature that holds': {
    code: 'SIGNATURE_INVALID',
    why: 'the header is not alg, kid and typ',
    text: () => forge({ key, payload: announcementOf(fleet, '1.1.0'), header: { alg: 'none' } }),
  },
  'signed with the public key as an HMAC secret': {
    code: 'SIGNATURE_INVALID',
    why: 'the header is not alg, kid and typ',
    text: () => {
      const secret = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
      return forge({
        key,
        payload: announcementOf(fleet, '1.1.0'),
        header: { alg: 'HS256' },
        signature: (input) => createHmac('sha256', secret).update(input).digest(),
      });
    },
  },
  'signed with another key under the trusted name': {
    code: 'SIGNATURE_INVALID',
    why: 'the signature is invalid',
    text: () => forge({ key: strangerKey(key.kid), payload: announcementOf(fleet, '1.1.0') }),
  },
  'signed with an unknown key': {
    code: 'SIGNATURE_INVALID',
    why: 'signed by an unknown key',
    text: () => forge({ key: strangerKey('stranger'), payload: announcementOf(fleet, '1.1.0') }),
  },
  'altered after it was signed': {
    code: 'SIGNATURE_INVALID',
    why: 'the signature is invalid',
    text: () => {
      const [head, , signature] = signed({ version: '1.0.0' }).split('.');
      return [head, signed().split('.')[1], signature].join('.');
    },
  },
  'that is a manifest, validly signed': {
    code: 'SIGNATURE_INVALID',
    why: 'its type is td-manifest+jws, expected td-announcement+jws',
    text: () => storedText(fleet, keys.manifest('payments', '1.1.0')),
  },
  'that is a desired state, validly signed': {
    code: 'SIGNATURE_INVALID',
    why: 'its type is td-desired+jws, expected td-announcement+jws',
    text: () => storedText(fleet, keys.desired(ENV, 'payments')),
  },
  'signed as a manifest': {
    code: 'SIGNATURE_INVALID',
    why: 'its type is td-manifest+jws, expected td-announcement+jws',
    text: () => forge({ key, payload: announcementOf(fleet, '1.1.0'), header: { typ: 'td-manifest+jws' } }),
  },
  'that is plain text': {
    code: 'SIGNATURE_INVALID',
    why: 'not a signed document',
    text: () => 'deploy payments 1.1.0, please',
  },
  'that is JSON and not signed': {
    code: 'SIGNATURE_INVALID',
    why: 'not a signed document',
    text: () => JSON.stringify(announcementOf(fleet, '1.1.0')),
  },
  'whose signed payload is not JSON': {
    code: 'DOCUMENT_INVALID',
    why: 'the payload is not JSON',
    text: () => forge({ key, payload: 'deploy payments 1.1.0, please' }),
  },
  'whose signed payload is JSON 50,000 levels deep': {
    code: 'DOCUMENT_INVALID',
    why: 'the payload is not valid',
    text: () => forge({ key, payload: `${'['.repeat(50_000)}${']'.repeat(50_000)}` }),
  },
  'as large as SNS takes': {
    code: 'SIGNATURE_INVALID',
    why: 'not a signed document',
    text: () => 'A'.repeat(256 * 1024),
  },
  'with a version that climbs out of its directory': {
    code: 'DOCUMENT_INVALID',
    why: 'is not valid: version',
    text: () => signed({ version: '../../etc' }),
  },
  'with an artifact that climbs out of its directory': {
    code: 'DOCUMENT_INVALID',
    why: 'is not valid: artifacts.0.name',
    text: () => {
      const [artifact] = announcementOf(fleet, '1.1.0').artifacts as Fields[];
      return signed({ artifacts: [{ ...artifact, name: '../../../etc/cron.d/payments' }] });
    },
  },
  'with a replyTo that is a URL': {
    code: 'DOCUMENT_INVALID',
    why: 'replyTo is not the name of a reply queue',
    text: () => signed({ replyTo: 'https://sqs.eu-west-1.amazonaws.com/1/mallory' }),
  },
};

function strangerKey(kid: string): typeof key {
  return { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid };
}

describe('nothing changes, and the agent logs why,', () => {
  let before: Awaited<ReturnType<typeof snapshotOf>>;
  beforeEach(async () => {
    before = await snapshotOf(fleet, instance);
  });
  afterEach(async () => expect(await snapshotOf(fleet, instance)).toEqual(before));

  test.each(Object.entries(REFUSED))('for an announcement %s', async (_title, { code, why, text }) => {
    const logged = refusal();
    await announceByHand(fleet, instance, text());
    expect(await logged).toMatchObject({ level: 'warn', code, msg: expect.stringContaining(why) });
  });

  test.each([
    ['binary', '\u0000\u0001\u001b[2J\ud800\uffff'],
    ['one MiB long, as much as SQS takes', 'A'.repeat(1024 * 1024)],
    ['a thousand dots', '.'.repeat(1000)],
  ])('for a message that is %s', async (_title, text) => {
    const logged = refusal();
    fleet.cloud.sendRaw(agentQueueName(ENV, instance.id), text, 'mallory');
    await handled(fleet, instance, text);
    expect(await logged).toMatchObject({ level: 'warn', code: 'SIGNATURE_INVALID' });
  });

  test.each([
    ['another kind of queue of this account', 'orders'],
    ["another instance's queue", 'trigger-deploy-dev-i-0b2'],
    ["another environment's reply queue", 'trigger-deploy-prd-reply-01JDB2Q4M7ZC5W0V9K3T8X6Y1N'],
  ])('and nothing is sent, for a replyTo that names %s', async (_title, queue) => {
    const { sqs, close } = clientsOf(fleet.cloud);
    await sqs.send(new CreateQueueCommand({ QueueName: queue }));
    close();
    const logged = refusal();
    await announceByHand(fleet, instance, signed({ replyTo: queue }));
    expect(await logged).toMatchObject({ level: 'warn', code: 'DOCUMENT_INVALID' });
    expect(fleet.cloud.messages(queue)).toEqual([]);
  });

  test('for a service that is not one of this instance, which is no reason to warn', async () => {
    const logged = nextLogged(instance, ({ decision }) => decision !== undefined);
    await announceByHand(fleet, instance, signed({ service: 'orders' }));
    expect(await logged).toMatchObject({ level: 'debug', decision: 'ignore' });
  });
});

test('after all of it the agent still runs, and the next version is deployed', async () => {
  expect(instance.agent?.process.exitCode).toBe(null);
  await deploy(fleet, '1.1.0');
  expect(await fleet.ask(instance)).toMatchObject({ version: '1.1.0' });
});

test('the announcement that all of these were made from deploys, when nothing is wrong with it', async () => {
  const ended = nextLogged(instance, ({ msg }) => msg === 'succeeded');
  await announceByHand(fleet, instance, forge({ key, payload: announcementOf(fleet, '1.0.0') }));
  await ended;
  expect(await fleet.ask(instance)).toMatchObject({ version: '1.0.0' });
});
