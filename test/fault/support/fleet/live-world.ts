import type { JsonWebKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { Artifact } from '../../../../shared/manifest.ts';
import { keys } from '../../../../shared/names.ts';
import { generateKeys, type Verifier, verifierOf } from '../../../../shared/signing.ts';
import { type Cloud, type CloudOptions, startCloud } from '../../../support/cloud/cloud.ts';
import { BUCKET, ENV, TOPIC } from '../../../support/fleet/fleet.ts';
import { type Fields, forge } from '../../../support/publisher/announcements.ts';
import { changeOf, packTar, place, SERVICE } from './by-hand.ts';
import { type LiveAgent, openLiveAgent } from './live-agent.ts';

/** The embedded cloud, a key, versions in the bucket, and agents within this process. */
export interface LiveWorld {
  readonly cloud: Cloud;
  readonly topic: string;
  /** Signed as `typ`, an announcement unless it says otherwise. */
  sign(payload: string | Fields, typ?: string): string;
  /** The deployment that brings `1.0.SEQUENCE`, as it is announced. */
  change(sequence: number, change?: Fields): Fields & { deployment: string };
  /** Puts the deployment into the desired state, as its publisher does when it is settled. */
  desire(said: Fields): void;
  openAgent(instance: string): Promise<LiveAgent>;
  stop(): Promise<void>;
}

/** `versions` is how many there are to deploy. */
export async function startLiveWorld(options: CloudOptions & { versions: number }): Promise<LiveWorld> {
  const cloud = await startCloud({ queueRecreationMs: 0, ...options });
  const dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-live-'));
  for (const [name, value] of Object.entries(cloud.env())) vi.stubEnv(name, value);
  cloud.createBucket(BUCKET);
  const topic = cloud.createTopic(TOPIC);
  const { key, verifier } = await keyPair();
  const artifacts = new Map<string, Artifact[]>();
  for (let n = 1; n <= options.versions; n += 1) {
    const version = `1.0.${n}`;
    artifacts.set(version, place(cloud, version, await packTar(dir, version)));
  }
  const agents: LiveAgent[] = [];
  const sign = (payload: string | Fields, typ = 'td-announcement+jws') =>
    forge({ key, payload, header: { typ } });
  return {
    cloud,
    topic,
    sign,
    change(sequence, change = {}) {
      const version = `1.0.${sequence}`;
      return changeOf({ version, sequence, artifacts: artifacts.get(version) ?? [], ...change });
    },
    desire({ env, service, version, sequence, deployment, action, artifacts: files }) {
      const changedAt = new Date().toISOString();
      const about = { env, service, version, sequence, deployment, action, artifacts: files };
      const text = sign({ v: 1, ...about, changedAt, changedBy: 'a test', nonce: 'n' }, 'td-desired+jws');
      cloud.putObject(BUCKET, keys.desired(ENV, SERVICE), text);
    },
    async openAgent(instance) {
      const agent = await openLiveAgent({ cloud, topic, instance, dir: join(dir, instance), verifier });
      agents.push(agent);
      return agent;
    },
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await cloud.stop();
      await rm(dir, { recursive: true, force: true });
      vi.unstubAllEnvs();
    },
  };
}

async function keyPair(): Promise<{ key: JsonWebKey & { kid: string }; verifier: Verifier }> {
  const { privateJwk, publicJwk } = await generateKeys();
  const kid = publicJwk.kid ?? '';
  const { kty = '', crv = '', x = '' } = publicJwk;
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', true, ['verify']);
  return { key: { ...privateJwk, kid }, verifier: verifierOf([{ kid, alg: 'EdDSA', key }]) };
}
