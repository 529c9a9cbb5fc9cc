import { createPrivateKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto';
import { keys } from '../../../../shared/names.ts';
import { BUCKET, ENV } from '../../../support/fleet/fleet.ts';
import { payloadOf } from '../../../support/publisher/announcements.ts';
import type { Change, ObjectName } from './combinations.ts';
import { type BucketWorld, OTHER, SERVICE, STAGE_BUCKET } from './world.ts';

/** What a person who may write to the bucket puts there. */

/** A change as it was made: where, what was there before, and what is there now (undefined: nothing). */
export interface Made {
  key: string;
  before: Buffer | undefined;
  put: Buffer | undefined;
}

/** The deployments and versions that the keys of the objects are made of. */
export interface About {
  wanted: string;
  running: string;
  newest: string;
  past: string;
}

const HUGE = 5 * 1024 * 1024;
const STRANGER = '01JDB2Q0V7M3N8T5R9XKZC4W6H';

/** Makes the change; undefined where there is no such object, or nothing to replace it by. */
export function make(world: BucketWorld, { object, kind }: Change, about: About): Made | undefined {
  const { cloud } = world.fleet;
  const key = keyOf(world, object, about);
  if (key === undefined) return undefined;
  const before = cloud.object(BUCKET, key)?.body;
  if (kind === 'nothing') {
    if (before === undefined) return undefined;
    cloud.deleteObject(BUCKET, key);
    return { key, before, put: undefined };
  }
  const put = bodyFor(world, { object, kind }, { key, before, about });
  if (put === undefined) return undefined;
  cloud.putObject(BUCKET, key, put);
  return { key, before, put };
}

/** Sets right what is still as it was made. */
export function undo(world: BucketWorld, { key, before, put }: Made): void {
  const { cloud } = world.fleet;
  const now = cloud.object(BUCKET, key)?.body;
  const isLeft = put === undefined ? now === undefined : now !== undefined && put.equals(now);
  if (!isLeft) return;
  if (before === undefined) cloud.deleteObject(BUCKET, key);
  else cloud.putObject(BUCKET, key, key.endsWith('/lock.json') ? released(before) : before);
}

/** The lock as its owner left it: the owner that it names here has ended meanwhile. */
function released(lock: Buffer): Buffer {
  return Buffer.from(JSON.stringify({ ...JSON.parse(lock.toString('utf8')), owner: null }));
}

function keyOf(world: BucketWorld, object: ObjectName, about: About): string | undefined {
  const { cloud } = world.fleet;
  const below = (prefix: string) => cloud.objects(BUCKET, prefix).at(0);
  switch (object) {
    case 'desired':
      return keys.desired(ENV, SERVICE);
    case 'lock':
      return keys.lock(ENV, SERVICE);
    case 'queue':
      return keys.queue(ENV, SERVICE);
    case 'newest record':
      return keys.deployment(ENV, SERVICE, about.newest);
    case 'past record':
      return keys.deployment(ENV, SERVICE, about.past);
    case 'wanted manifest':
      return keys.manifest(SERVICE, about.wanted);
    case 'running manifest':
      return keys.manifest(SERVICE, about.running);
    case 'index':
      return keys.index(SERVICE);
    case 'artifact':
      return world.artifactKey(about.wanted);
    case 'pause':
      return keys.servicePause(ENV, SERVICE);
    case 'pause of the environment':
      return keys.pause(ENV);
    case 'confirm':
    case 'cancel':
      return keys.decision(ENV, SERVICE, about.newest, object);
    case 'report':
      return below(keys.reports(ENV, SERVICE, about.newest));
    case 'instance':
      return below(keys.instances(ENV, SERVICE));
  }
}

function bodyFor(
  world: BucketWorld,
  { object, kind }: Change,
  { key, before, about }: { key: string; before: Buffer | undefined; about: About },
): Buffer | undefined {
  const { cloud } = world.fleet;
  const elsewhere = (place: string, bucket = BUCKET) => cloud.object(bucket, place)?.body;
  switch (kind) {
    case 'fields':
      return before && altered(world, object, before);
    case 'forged':
      return forged(world, object, before, about);
    case 'truncated':
      return before?.subarray(0, before.length >> 1) ?? Buffer.from('eyJ');
    case 'huge':
      return Buffer.alloc(HUGE, 'A');
    case 'older':
      return world.olderOf(key);
    case 'service':
      return elsewhere(key.replace(`/${SERVICE}/`, `/${OTHER}/`)) ?? world.anyOf(OTHER, key);
    case 'env':
      return elsewhere(key.replace(`state/${ENV}/`, 'state/stg/'), STAGE_BUCKET) ?? world.anyOf('stg', key);
    case 'deployment':
      return world.siblingOf(key);
    case 'nothing':
      return undefined;
  }
}

/** The content with what an intruder wants in it; a signature stays as it was. */
function altered(world: BucketWorld, object: ObjectName, before: Buffer): Buffer {
  if (object === 'artifact') return world.evil.bytes;
  const text = before.toString('utf8');
  if (!text.startsWith('{')) {
    const [head = '', , signature = ''] = text.split('.');
    const body = Buffer.from(JSON.stringify(wished(world, payloadOf(text)))).toString('base64url');
    return Buffer.from([head, body, signature].join('.'));
  }
  const said = JSON.parse(text);
  const now = new Date().toISOString();
  const entry = { id: STRANGER, who: 'mallory', pid: 1, host: 'h', since: now, beat: now, command: 'deploy' };
  switch (object) {
    case 'lock':
      return json({ ...said, sequence: Number.MAX_SAFE_INTEGER });
    case 'queue':
      return json({ ...said, waiting: [{ ...entry, jumped: false }] });
    case 'index':
      return json({
        ...said,
        pushes: [{ version: '0.0.1', pushedAt: '2099-01-01T00:00:00Z', pushedBy: 'm' }],
      });
    case 'report':
      return json({ ...said, state: 'failed', n: 99, error: { code: 'START_FAILED', message: 'mallory' } });
    default:
      return json({ ...said, version: '6.6.6', sequence: 1_000_000, leftAt: now });
  }
}

/** A document that another key signed; of what is not signed, a lock that an unknown publisher holds. */
function forged(world: BucketWorld, object: ObjectName, before: Buffer | undefined, about: About): Buffer {
  const now = new Date().toISOString();
  if (object === 'lock') {
    const owner = {
      id: STRANGER,
      who: 'mallory',
      pid: 1,
      host: 'h',
      deployment: STRANGER,
      command: 'deploy',
    };
    const { sequence } = JSON.parse(before?.toString('utf8') ?? '{"sequence":1}');
    return json({ v: 1, nonce: 'n', sequence, owner: { ...owner, since: now, beat: now } });
  }
  const decided = { v: 1, env: ENV, service: SERVICE, deployment: about.newest, by: 'mallory', at: now };
  const isDecision = object === 'confirm' || object === 'cancel';
  const typ = isDecision ? 'td-decision+jws' : typeOf(before?.toString('utf8') ?? '');
  const payload = isDecision
    ? { ...decided, kind: object, head: 'a'.repeat(64), nonce: 'n' }
    : wished(world, before ? payloadOf(before.toString('utf8')) : {});
  const segment = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const input = `${segment({ alg: 'EdDSA', kid: world.key.kid, typ })}.${segment(payload)}`;
  const key = createPrivateKey({ key: INTRUDER, format: 'jwk' });
  return Buffer.from(`${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`);
}

const INTRUDER = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as JsonWebKey;

function typeOf(jws: string): string {
  const head = Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString('utf8');
  return head === '' ? 'td-desired+jws' : JSON.parse(head).typ;
}

/** Every digest is that of the evil package; every gate is open, every outcome a success, and no pause stands. */
function wished(world: BucketWorld, payload: Record<string, unknown>): Record<string, unknown> {
  const { sha256, size } = world.evil;
  const change = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== 'object' || value === null) return value;
    const made = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(one)]));
    if (typeof made.sha256 === 'string') Object.assign(made, { sha256, size });
    if (made.paused === true) made.paused = false;
    if (made.status !== undefined) Object.assign(made, { status: 'succeeded', counts: { succeeded: 2 } });
    if (typeof made.sequence === 'number') made.sequence += 1_000_000;
    if (made.gate !== undefined) made.gate = 'none';
    if (made.awaitingSince !== undefined) made.confirmed = { by: 'mallory', at: made.awaitingSince };
    return made;
  };
  return change(payload) as Record<string, unknown>;
}

const json = (value: object) => Buffer.from(JSON.stringify(value));
