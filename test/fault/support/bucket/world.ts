import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import { push } from '../../../../publisher/commands/push.ts';
import { type Environment, loadEnvironment } from '../../../../publisher/config/load.ts';
import { openSession, type Session } from '../../../../publisher/session.ts';
import { keys, newUlid, RECORD_NAME } from '../../../../shared/names.ts';
import {
  BUCKET,
  ENV,
  type Fleet,
  type Instance,
  sampleService,
  startFleet,
} from '../../../support/fleet/fleet.ts';
import { packSampleService } from '../../../support/fleet/sample-service/package.ts';
import { payloadOf, trustedKey } from '../../../support/publisher/announcements.ts';
import { type RunningVerb, runVerb } from '../../../support/publisher/run-verb.ts';
import { cheapServices, currentOf } from '../fleet/by-hand.ts';

/**
 * Two real agents, the publisher's own code in this process, and a bucket that somebody else may write to. Beside the
 * service there is another one, and another environment that is signed with the same key: what is copied from there
 * verifies.
 */

export const SERVICE = 'payments';
export const OTHER = 'billing';
export const STAGE_BUCKET = 'acme-deploys-stg';
export const VERSIONS = ['1.0.0', '1.1.0', '1.2.0'] as const;
/** The version that succeeded in the other environment. */
export const PROMOTED = '3.0.0';

export interface BucketWorld {
  fleet: Fleet;
  session: Session;
  key: { kid: string };
  /** A package that no manifest names. It leaves a mark where it runs. */
  evil: { bytes: Buffer; sha256: string; size: number };
  /** Whether the evil package ran anywhere, or is what an instance switched to. */
  ranEvil(): Promise<boolean>;
  /** What the instance runs, or has switched to. */
  versionOf(instance: Instance): Promise<string | undefined>;
  /** Starts a command; `onEvent` as `runVerb`. */
  command(argv: readonly string[], onEvent?: Parameters<typeof runVerb>[2]['onEvent']): Promise<RunningVerb>;
  /** Remembers what is in the bucket, so that it can be put back later. */
  remember(): void;
  /** An earlier body of the object. */
  olderOf(key: string): Buffer | undefined;
  /** The body of another object of the same kind of this service. */
  siblingOf(key: string): Buffer | undefined;
  /** The body of an object of the same kind of the other service, or of the other environment. */
  anyOf(where: string, key: string): Buffer | undefined;
  artifactKey(version: string): string | undefined;
  close(): Promise<void>;
}

export async function openBucketWorld(): Promise<BucketWorld> {
  const fleet = await startFleet();
  const { cloud } = fleet;
  Object.assign(process.env, cloud.env('publisher'));
  const source = { cwd: fleet.publisherDir, home: fleet.dir, variables: {}, file: undefined };
  const env = await loadEnvironment(source, { name: ENV, orHome: false });
  cloud.createBucket(STAGE_BUCKET);
  const stg: Environment = {
    ...env,
    ...{ name: 'stg', bucket: STAGE_BUCKET, topic: cloud.createTopic('trigger-deploy-stg') },
  };
  const load = async (name: string) => (name === 'stg' ? stg : env);
  const { signal } = new AbortController();
  const open = (of: Environment) => openSession(of, { signal, emit: () => undefined, environment: {}, load });
  const [session, stage] = [await open(env), await open(stg)];
  const evil = await packEvil(fleet);
  const bodies = new Map<string, Buffer[]>();

  const pushed = async (to: Session, service: string, version: string) => {
    const file = await packSampleService(join(fleet.dir, 'packages'), version);
    await push(to, { service, version, files: [file], configs: [] });
  };
  for (const version of VERSIONS) await pushed(session, SERVICE, version);
  await pushed(session, OTHER, VERSIONS[1]);
  await pushed(stage, SERVICE, PROMOTED);
  await pushed(stage, SERVICE, VERSIONS[1]);
  await succeeded(stage, SERVICE, VERSIONS[1], 1);
  await succeeded(stage, SERVICE, PROMOTED, 2);
  await succeeded(session, OTHER, VERSIONS[1], 1);
  // Of the two, one runs what it deploys: that is what takes the time.
  await fleet.addInstance('i-1', (instance) => ({ [SERVICE]: quick(sampleService(instance)) }));
  await fleet.addInstance('i-2', cheapServices);

  const keysLike = (bucket: string, prefix: string, key: string) => {
    const ending = key.slice(key.lastIndexOf('/'));
    return cloud.objects(bucket, prefix).filter((one) => one !== key && one.endsWith(ending));
  };
  const bodyOf = (bucket: string, key: string | undefined) =>
    key === undefined ? undefined : cloud.object(bucket, key)?.body;
  const area = (key: string) =>
    key
      .split('/')
      .slice(0, key.startsWith('artifacts/') ? 2 : 3)
      .join('/');

  return {
    fleet,
    session,
    evil,
    key: await trustedKey(fleet),
    async ranEvil() {
      const switched = await Promise.all(fleet.instances.map(currentDigest));
      return existsSync(join(fleet.dir, 'evil-ran')) || switched.includes(evil.sha256);
    },
    versionOf: async (instance) =>
      instance.id === 'i-1'
        ? (await fleet.ask(instance))?.version
        : ((await currentOf(instance)) ?? undefined),
    command: (argv, onEvent) =>
      runVerb({ env }, argv, { clock: session.clock, load, ...(onEvent && { onEvent }) }),
    remember() {
      for (const key of cloud.objects(BUCKET, 'state/')) {
        const body = cloud.object(BUCKET, key)?.body;
        const known = bodies.get(key) ?? [];
        if (body && !known.at(-1)?.equals(body)) bodies.set(key, [...known.slice(-5), body]);
      }
    },
    olderOf(key) {
      const now = cloud.object(BUCKET, key)?.body;
      return bodies.get(key)?.findLast((body) => !now?.equals(body));
    },
    siblingOf: (key) => bodyOf(BUCKET, keysLike(BUCKET, `${area(key)}/`, key).at(-1)),
    anyOf(where, key) {
      const bucket = where === 'stg' ? STAGE_BUCKET : BUCKET;
      const inState = key.startsWith('state/');
      const prefix = inState
        ? where === 'stg'
          ? 'state/stg/'
          : `state/${ENV}/${where}/`
        : `artifacts/${where === 'stg' ? SERVICE : where}/`;
      return bodyOf(bucket, keysLike(bucket, prefix, key).at(0));
    },
    artifactKey(version) {
      const key = keys.manifest(SERVICE, version);
      const manifest = cloud.object(BUCKET, key)?.body.toString('utf8');
      const [artifact] = (manifest ? payloadOf(manifest).artifacts : []) as {
        sha256: string;
        name: string;
      }[];
      return artifact && keys.artifact(SERVICE, version, artifact.sha256, artifact.name);
    },
    async close() {
      session.close();
      stage.close();
      await fleet.stop();
    },
  };

  async function packEvil({ dir }: Fleet) {
    const content = await mkdtemp(join(dir, 'evil-'));
    const from = new URL('../../../support/fleet/sample-service/server.mjs', import.meta.url);
    const mark = `import { writeFileSync as mark } from 'node:fs';\nmark(${JSON.stringify(join(dir, 'evil-ran'))}, 'x');\n`;
    await writeFile(join(content, 'server.mjs'), mark + (await readFile(from, 'utf8')));
    await writeFile(join(content, 'behaviour.json'), JSON.stringify({ version: '6.6.6', healthStatus: 200 }));
    const file = join(dir, 'evil.tar.gz');
    await create({ gzip: true, file, cwd: content, portable: true }, ['server.mjs', 'behaviour.json']);
    const bytes = await readFile(file);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    // Where an agent would look for it.
    for (const version of [...VERSIONS, PROMOTED]) {
      const name = `payments-${version}.tar.gz`;
      cloud.putObject(BUCKET, keys.artifact(SERVICE, version, sha256, name), bytes);
    }
    return { bytes, sha256, size: bytes.length };
  }
}

/** The digest of the package that the instance has switched to. */
async function currentDigest({ dir }: Instance): Promise<string | undefined> {
  const text = await readFile(join(dir, SERVICE, 'current', RECORD_NAME), 'utf8').catch(() => undefined);
  return text && JSON.parse(text).artifacts[0].sha256;
}

/** A version is healthy at its first answer, and is not watched. */
function quick(service: ReturnType<typeof sampleService>) {
  const [check] = service.checks as { http: object }[];
  return { ...service, checks: [{ http: { ...check?.http, successes: 1 } }], watch: '0s' };
}

/** A record of a success, and its desired state, as a deployment leaves them. */
async function succeeded(session: Session, service: string, version: string, sequence: number) {
  const { deployments, desired, versions } = session.record;
  const { artifacts } = await versions.readManifest(service, version);
  const at = new Date().toISOString();
  const deployment = newUlid(Date.now() + sequence);
  const stored = await deployments.create({
    ...{ deployment, env: session.env.name, service, version, previous: null, action: 'deploy', sequence },
    ...{ issuedBy: 'ci', from: { user: 'u', host: 'h' }, artifacts, expected: ['i-9'], announcedAt: at },
    ...{ expiresAt: at, strategy: 'all', desiredFirst: false, status: 'announced' },
    policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 1000 },
  });
  await desired.move({
    ...{ service, version, artifacts, action: 'deploy', sequence, deployment, changedBy: 'ci' },
  });
  await deployments.update(stored, {
    ...{ status: 'succeeded', exitCode: 0, settledAt: at, counts: { succeeded: 1 }, setDesired: true },
  });
}
