import * as z from 'zod';
import { desired } from '../../shared/desired.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { envName, keys, serviceName } from '../../shared/names.ts';
import { instanceRecord } from '../../shared/report.ts';
import { wantedVersions } from '../plan/retention.ts';
import { recordOf } from '../record/deployment-document.ts';
import { type DeploymentRecord, deploymentDocument } from '../record/deployment-schema.ts';
import { mapLimit } from '../record/map-limit.ts';
import { newestIds } from '../record/newest-ids.ts';
import type { Session } from '../session.ts';

/**
 * Reads which versions of a service are wanted by the environments that share the bucket. Nothing is verified: this
 * environment has no keys of the others, and whatever a document says can only keep more. One that cannot be read keeps all.
 */

const waitingDocument = z.looseObject({
  waiting: z.array(z.looseObject({ version: z.string().optional() })),
});

const READS = 16;
/** How many of the newest deployments are read. */
const RECORDS = 64;

/** The environments that have a record in the bucket. */
export async function environmentsIn({ record }: Session): Promise<string[]> {
  const names = await record.objects.folders('state/');
  return names.filter((name) => envName.safeParse(name).success);
}

/**
 * The versions of `service` that any of `environments` wants, with the reason. `running` has those that answered a roll call here.
 * @throws DOCUMENT_INVALID when a document cannot be read: then nothing may be deleted.
 */
export async function readWanted(
  session: Session,
  service: string,
  { environments, running }: { environments: readonly string[]; running: Iterable<string> },
): Promise<Map<string, string>> {
  const wanted = new Map<string, string>();
  for (const env of environments) {
    const [state, records, runs] = await Promise.all([
      readDesired(session, env, service),
      readRecords(session, env, service),
      readRuns(session, env, service),
    ]);
    for (const version of await readWaiting(session, env, service)) {
      if (!wanted.has(version)) wanted.set(version, `waits in the queue in ${env}`);
    }
    const own = env === session.env.name ? [...running] : [];
    const found = wantedVersions(env, { desired: state, records, runs: [...runs, ...own] });
    for (const [version, why] of found) if (!wanted.has(version)) wanted.set(version, why);
  }
  return wanted;
}

async function readDesired({ record: { objects } }: Session, env: string, service: string) {
  const key = keys.desired(env, service);
  const stored = await objects.read(key);
  if (stored === undefined) return undefined;
  const parsed = desired.safeParse(payloadOf(key, stored.text));
  if (!parsed.success) throw unreadable(key);
  return parsed.data;
}

/** The newest deployments, the highest sequence first. A record that cannot be read keeps all, as it may be unsettled. */
async function readRecords({ record: { objects }, clock }: Session, env: string, service: string) {
  const records: DeploymentRecord[] = [];
  for await (const ids of newestIds(objects, env, service, () => clock.now())) {
    for (let at = 0; at < ids.length && records.length < RECORDS; at += READS) {
      const some = await mapLimit(ids.slice(at, at + READS), READS, async (id) => {
        const key = keys.deployment(env, service, id);
        const stored = await objects.read(key, 16_000_000);
        if (stored === undefined) return [];
        const parsed = deploymentDocument.safeParse(payloadOf(key, stored.text));
        if (!parsed.success) throw unreadable(key);
        return [recordOf(parsed.data)];
      });
      records.push(...some.flat());
    }
    if (records.length >= RECORDS) break;
  }
  return records.sort((a, b) => b.sequence - a.sequence);
}

/** The versions that the instance records name, whether or not the writer is believed and the instance answers. */
async function readRuns({ record: { objects } }: Session, env: string, service: string): Promise<string[]> {
  const listed = await objects.list(keys.instances(env, service), 'right below');
  const versions = await mapLimit(listed, READS, async ({ key }) => {
    const stored = await objects.readJson(key, instanceRecord).catch((error: unknown) => {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      return undefined;
    });
    return stored?.value.version ?? [];
  });
  return [...new Set(versions.flat())];
}

/** The versions that publishers in the queue are about to deploy. */
async function readWaiting(
  { record: { objects } }: Session,
  env: string,
  service: string,
): Promise<string[]> {
  const stored = await objects.readJson(keys.queue(env, service), waitingDocument);
  return (stored?.value.waiting ?? []).flatMap(({ version }) => version ?? []);
}

function payloadOf(key: string, text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    throw unreadable(key);
  }
}

function unreadable(key: string): TriggerDeployError {
  return new TriggerDeployError(
    'DOCUMENT_INVALID',
    `${key} cannot be read, so it is not known which versions are wanted`,
    {
      hint: 'restore the last version of the object, or delete it, then run gc again',
    },
  );
}

/** The services that have versions in the bucket. */
export async function pushedServices({ record }: Session): Promise<string[]> {
  const names = await record.objects.folders(keys.versions());
  return names.filter((name) => serviceName.safeParse(name).success);
}
