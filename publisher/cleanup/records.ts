import { keys } from '../../shared/names.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { collect, type GcContext } from './finding.ts';
import type { Fleet } from './instances.ts';

/** Deletes the instance records and heartbeats of instances that are gone. */

const DELETES = 8;

/**
 * Each object is deleted only as it was listed, and the heartbeat last: an instance that comes back meanwhile writes it
 * again, and keeps what is left. Killed in between, what is left is found again.
 */
export async function cleanRecords(context: GcContext, cleaner: Cleaner, fleet: Fleet): Promise<void> {
  const { clock, env, record } = context.session;
  const isWanted = (key: string) =>
    context.service === undefined || key.startsWith(keys.instances(env.name, context.service));
  await mapLimit([...fleet.gone.values()], DELETES, async ({ instance, why, lastSeen, objects }) => {
    const own = objects.filter(({ key }) => isWanted(key));
    if (own.length === 0) return;
    const bytes = own.reduce((sum, { size }) => sum + size, 0);
    const about = { name: `of ${instance}`, why, ageMs: clock.now() - lastSeen, objects: own.length, bytes };
    await collect(context, { kind: 'records', ...about }, async () => {
      const heartbeat = objects.find(({ key }) => key.startsWith(keys.heartbeats(env.name)));
      if (heartbeat !== undefined) {
        const now = await record.objects.etagOf(heartbeat.key);
        if (now !== undefined && now !== heartbeat.etag) return 'it came back meanwhile';
      }
      for (const { key, etag } of own) {
        if (!(await cleaner.deleteObject(key, etag))) return 'it came back meanwhile';
      }
      return undefined;
    });
  });
}
