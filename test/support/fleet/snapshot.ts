import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { keys } from '../../../shared/names.ts';
import { BUCKET, ENV, type Fleet, type Instance } from './fleet.ts';

/** What nothing bad may change: what `payments` answers, its process, its release, and the desired state. */
export async function snapshotOf(fleet: Fleet, instance: Instance): Promise<Record<string, unknown>> {
  const dir = join(instance.dir, 'payments');
  const desired = fleet.cloud.object(BUCKET, keys.desired(ENV, 'payments'));
  return {
    answer: await fleet.ask(instance),
    pid: await readFile(join(dir, 'service.pid'), 'utf8'),
    current: await readlink(join(dir, 'current')),
    desired: desired?.body.toString('utf8'),
  };
}
