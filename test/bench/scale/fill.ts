import type { DeploymentRecord } from '../../../publisher/record/deployment-schema.ts';
import { openDesiredStates } from '../../../publisher/record/desired-state.ts';
import type { Objects } from '../../../publisher/record/objects.ts';
import { openSignedDeployments } from '../../../publisher/record/signed-deployments.ts';
import type { Artifact, Manifest } from '../../../shared/manifest.ts';
import { keys, newUlid } from '../../../shared/names.ts';
import type { InstanceRecord } from '../../../shared/report.ts';
import { loadSigner, type Signer, verifierOf } from '../../../shared/signing.ts';
import type { Cloud } from '../../support/cloud/cloud.ts';
import { userIdOf } from '../../support/cloud/sqs.ts';
import { BUCKET } from '../instances.ts';

/** Puts years of work into a bucket of the embedded cloud: each document is signed as the publisher signs it. */

const MINUTE = 60_000;
/** How many pushes the index of pushes holds: as publisher/packages/publish.ts. */
const INDEXED = 200;
const JAR: Artifact = { name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' };
const ARTIFACTS = [JAR];

export interface Filler {
  /** Versions 1.0.1 to 1.0.`count`, an hour apart, the last one a minute ago. */
  versions(service: string, count: number): Promise<void>;
  /** Deployments of 1.0.1 to 1.0.`count` to `instances`, an hour apart; the last one set the desired state. */
  deployments(service: string, count: number, instances: readonly string[]): Promise<void>;
  /** The record of each instance: it runs `version`. */
  instances(service: string, names: readonly string[], version: string | null): void;
}

type Put = (key: string, body: string, at?: number) => void;

export async function openFiller(cloud: Cloud, keyFile: string, env = 'dev'): Promise<Filler> {
  const signer = await loadSigner(keyFile);
  const put: Put = (key, body, at = Date.now()) => void cloud.putObject(BUCKET, key, body, new Date(at));
  return {
    versions: (service, count) => fillVersions(signer, put, service, count),
    deployments: (service, count, instances) =>
      fillDeployments(signer, put, { env, service, count, instances }),
    instances(service, names, version) {
      for (const instance of names) {
        const record = instanceRecordOf(env, service, instance, version);
        put(keys.instance(env, service, userIdOf(instance)), JSON.stringify(record));
      }
    },
  };
}

async function fillVersions(signer: Signer, put: Put, service: string, count: number): Promise<void> {
  const pushes: { version: string; pushedAt: string; pushedBy: string }[] = [];
  for (let n = 1; n <= count; n += 1) {
    const at = timeOf(n, count);
    const push = { version: `1.0.${n}`, pushedAt: new Date(at).toISOString(), pushedBy: 'jenkins app#1' };
    const manifest: Manifest = { v: 1, service, ...push, artifacts: ARTIFACTS, nonce: `${n}` };
    put(keys.manifest(service, push.version), await signer.sign('td-manifest+jws', manifest), at);
    put(keys.artifact(service, push.version, JAR.sha256, JAR.name), 'jar', at);
    pushes.unshift(push);
  }
  put(keys.index(service), JSON.stringify({ v: 1, nonce: 'n', pushes: pushes.slice(0, INDEXED) }));
}

interface Past {
  env: string;
  service: string;
  count: number;
  instances: readonly string[];
}

async function fillDeployments(
  signer: Signer,
  put: Put,
  { env, service, count, instances }: Past,
): Promise<void> {
  let at = 0;
  const objects: Pick<Objects, 'putNew' | 'read'> = {
    async putNew(key, body) {
      put(key, body, at);
      return '';
    },
    read: async () => undefined,
  };
  const context = {
    env,
    objects: objects as Objects,
    signer: async () => signer,
    verifier: async () => verifierOf([signer.publicKey]),
  };
  const changes = { add: async () => undefined, readAhead: async () => undefined };
  const desired = openDesiredStates({ ...context, changes, pauseOf: async () => undefined, now: () => at });
  const records = openSignedDeployments(context);
  for (let n = 1; n <= count; n += 1) {
    at = timeOf(n, count);
    const record = pastDeployment({ env, service, n, at, instances });
    await records.create(record);
    for (const instance of instances.slice(0, 3)) {
      const key = keys.report(env, service, record.deployment, userIdOf(instance));
      put(key, reportOf(record, instance, at), at);
    }
    if (n < count) continue;
    const { version, artifacts, sequence, deployment } = record;
    const change = { service, version, artifacts, sequence, deployment };
    await desired.move({ ...change, action: 'deploy', changedBy: 'ci' });
    put(keys.lock(env, service), JSON.stringify({ v: 1, sequence: n, nonce: 'n', owner: null }));
  }
}

/** The time of the `n`th of `count`. */
const timeOf = (n: number, count: number) => Date.now() - MINUTE - (count - n) * 60 * MINUTE;

function pastDeployment(past: {
  env: string;
  service: string;
  n: number;
  at: number;
  instances: readonly string[];
}): DeploymentRecord {
  const { env, service, n, at, instances } = past;
  const [version, time] = [`1.0.${n}`, new Date(at).toISOString()];
  const result = { state: 'succeeded', version, tookMs: 20_000 } as const;
  const many = instances.length;
  return {
    ...{ deployment: newUlid(at), env, service, version, previous: n === 1 ? null : `1.0.${n - 1}` },
    ...{ action: 'deploy', sequence: n, issuedBy: 'ci', from: { user: 'jenkins', host: 'ci-1' } },
    ...{ artifacts: ARTIFACTS, expected: [...instances], strategy: 'all', desiredFirst: false },
    policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 600_000 },
    ...{ announcedAt: time, expiresAt: time, settledAt: time, status: 'succeeded', exitCode: 0 },
    ...{ outcome: `${many} of ${many} succeeded`, counts: { succeeded: many } },
    ...{ silent: [], tookMs: 20_000, setDesired: true },
    results: Object.fromEntries(instances.map((instance) => [instance, result])),
  };
}

function reportOf(record: DeploymentRecord, instance: string, at: number): string {
  const { deployment, env, service, version, sequence } = record;
  const about = { kind: 'report', v: 1, env, deployment, service, instance, sequence, version };
  return JSON.stringify({ ...about, n: 5, state: 'succeeded', at: new Date(at).toISOString(), timings: {} });
}

function instanceRecordOf(
  env: string,
  service: string,
  instance: string,
  version: string | null,
): InstanceRecord {
  const at = new Date().toISOString();
  const about = { v: 1, env, service, instance, version, zone: 'eu-west-1a' } as const;
  return {
    ...about,
    ...{ sequence: 0, state: 'succeeded', active: true, pinned: false, agentVersion: '0.1.0', at },
  };
}
