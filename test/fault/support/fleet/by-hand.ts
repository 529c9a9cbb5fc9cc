import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import type { Artifact } from '../../../../shared/manifest.ts';
import { agentQueueName, keys, newUlid } from '../../../../shared/names.ts';
import type { Report } from '../../../../shared/report.ts';
import { isEnding } from '../../../../shared/states.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV, type Instance, type ServiceYaml } from '../../../support/fleet/fleet.ts';
import type { Fields } from '../../../support/publisher/announcements.ts';

/** Versions put into the bucket, and announcements made, without a publisher: a fault then meets the agent alone. */

export const SERVICE = 'payments';

/** `payments` as a service that costs next to nothing: it always starts, and always runs. */
function cheapService(instance: Instance): ServiceYaml {
  const fine = ['/bin/true'];
  return {
    package: { type: 'archive', dir: serviceDir(instance) },
    manager: { type: 'command', start: fine, stop: fine, restart: fine, status: fine },
    checks: [],
    watch: '0s',
  };
}

export const cheapServices = (instance: Instance) => ({ [SERVICE]: cheapService(instance) });

const serviceDir = ({ dir }: { dir: string }) => join(dir, SERVICE);

/** A tar with a file that says the version, and one of `padding` bytes that no link could compress. */
export async function packTar(dir: string, version: string, padding = 0): Promise<Buffer> {
  await mkdir(dir, { recursive: true });
  const content = await mkdtemp(join(dir, '.content-'));
  await writeFile(join(content, 'VERSION'), version);
  await writeFile(join(content, 'padding'), randomBytes(padding));
  const file = join(content, 'packed.tar');
  await create({ file, cwd: content, portable: true }, ['VERSION', 'padding']);
  const bytes = await readFile(file);
  await rm(content, { recursive: true });
  return bytes;
}

/** What `push` leaves of a version's files; the manifest is the publisher's alone. */
export function place(cloud: Cloud, version: string, bytes: Buffer): Artifact[] {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const name = `${SERVICE}-${version}.tar`;
  cloud.putObject(BUCKET, keys.artifact(SERVICE, version, sha256, name), bytes);
  return [{ name, size: bytes.length, sha256, role: 'package' }];
}

/** An announcement as the publisher makes it, a `deploy` that lives for ten minutes unless `change` says otherwise. */
export function changeOf(
  change: Fields & { version: string; sequence: number; artifacts: Artifact[] },
  now = Date.now(),
): Fields & { deployment: string } {
  return {
    v: 1,
    kind: 'deploy',
    deployment: newUlid(now),
    env: ENV,
    service: SERVICE,
    action: 'deploy',
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 600_000).toISOString(),
    issuedBy: 'a test',
    ...change,
  };
}

/** Resolves once `holds`, asked whenever the cloud was asked for something or has answered. */
export async function until(cloud: Cloud, holds: () => boolean): Promise<void> {
  // Asked once each time, and not once for every request there ever was.
  await cloud.until((request) => request === cloud.requests.at(-1) && holds());
}

/** Resolves once this instance's queue is there, and nothing is in it. */
export async function drained(cloud: Cloud, instance: string): Promise<void> {
  const queue = agentQueueName(ENV, instance);
  await until(cloud, () => cloud.queues().includes(queue) && cloud.messages(queue).length === 0);
}

/** The ending that this instance has put into the record, once it is there. */
export async function endingOf(cloud: Cloud, deployment: string, instance: string): Promise<Report> {
  const key = keys.report(ENV, SERVICE, deployment, userIdOf(instance));
  const read = () => {
    const stored = cloud.object(BUCKET, key);
    const report = stored && (JSON.parse(stored.body.toString('utf8')) as Report);
    return report && isEnding(report.state) ? report : undefined;
  };
  await until(cloud, () => read() !== undefined);
  return read() as Report;
}

/** The version that `current` points at, null when there is none. */
export async function currentOf(instance: { dir: string }): Promise<string | null> {
  const target = await readlink(join(serviceDir(instance), 'current')).catch(() => null);
  return target === null ? null : (target.split('/').at(-1) ?? null);
}

/** What lies in staging, or anywhere under this version's name: nothing, after a deployment that failed. */
export async function tracesOf(instance: { dir: string }, version: string): Promise<string[]> {
  const all = await readdir(serviceDir(instance), { recursive: true });
  return all.filter((name) => name.startsWith('.staging/') || name.includes(version)).sort();
}
