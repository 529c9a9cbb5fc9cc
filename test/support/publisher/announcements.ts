import { createPrivateKey, type JsonWebKey, sign as signBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PublishCommand } from '@aws-sdk/client-sns';
import { agentQueueName, keys, newUlid } from '../../../shared/names.ts';
import { clientsOf } from '../cloud/clients.ts';
import { BUCKET, ENV, type Fleet, type Instance } from '../fleet/fleet.ts';

/** Announcements made by hand, past every check of the publisher: what an intruder, or a bug, can say. */

export type Fields = Record<string, unknown>;

/** The kid and the private half of the key that the fleet's agents trust. */
export async function trustedKey(fleet: Fleet): Promise<JsonWebKey & { kid: string }> {
  return JSON.parse(await readFile(join(fleet.dir, 'keys', 'ci.key.json'), 'utf8'));
}

/** What the publisher would announce for this pushed version of `payments`, with a sequence that beats any other. */
export function announcementOf(fleet: Fleet, version: string, change: Fields = {}): Fields {
  const now = Date.now();
  return {
    v: 1,
    kind: 'deploy',
    deployment: newUlid(now),
    env: ENV,
    service: 'payments',
    version,
    sequence: 9999,
    action: 'deploy',
    artifacts: payloadOf(storedText(fleet, keys.manifest('payments', version))).artifacts,
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 60_000).toISOString(),
    issuedBy: 'mallory@example.com',
    ...change,
  };
}

export function storedText(fleet: Pick<Fleet, 'cloud'>, key: string): string {
  const stored = fleet.cloud.object(BUCKET, key);
  if (!stored) throw new Error(`no ${key}; there are: ${fleet.cloud.objects(BUCKET).join(', ')}`);
  return stored.body.toString('utf8');
}

/** The payload of a compact JWS, nothing verified. */
export function payloadOf(jws: string): Fields {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

/** The record of a deployment as its document `jws` holds it, nothing verified: the head and what moves, in one. */
export function deploymentIn<T = Fields>(jws: string): T {
  const { head, rolling, ...moving } = payloadOf(jws) as Record<string, Fields>;
  const terms = head?.rolling as Fields | undefined;
  return { ...moving, ...head, ...(terms && { rolling: { ...rolling, ...terms } }) } as T;
}

/** A compact JWS of any header and any bytes, however wrong. Without `signature`: EdDSA with `key`. */
export function forge(options: {
  key: JsonWebKey & { kid: string };
  payload: string | Fields;
  header?: Fields;
  signature?: (input: string) => Buffer;
}): string {
  const { key, payload, header = {} } = options;
  const segment = (part: string | Fields) =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
  const head = segment({ alg: 'EdDSA', kid: key.kid, typ: 'td-announcement+jws', ...header });
  const input = `${head}.${segment(payload)}`;
  const eddsa = (text: string) =>
    signBytes(null, Buffer.from(text), createPrivateKey({ key, format: 'jwk' }));
  return `${input}.${(options.signature ?? eddsa)(input).toString('base64url')}`;
}

/** Publishes to the topic, as anyone with `sns:Publish` could, and waits until the agent is through with it. */
export async function announceByHand(fleet: Fleet, instance: Instance, text: string): Promise<void> {
  const { sns, close } = clientsOf(fleet.cloud, 'operator-mallory');
  try {
    await sns.send(new PublishCommand({ TopicArn: fleet.topicArn, Message: text }));
  } finally {
    close();
  }
  await handled(fleet, instance, text);
}

/** Resolves once no such message is in the agent's queue any more. */
export async function handled({ cloud }: Fleet, { id }: Instance, text: string): Promise<void> {
  await cloud.until(() => !cloud.messages(agentQueueName(ENV, id)).includes(text));
}
