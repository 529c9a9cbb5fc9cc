import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jarText } from '../support/shared/zip.ts';
import { inOwnCloud } from './in-own-cloud.ts';
import { sleepingService } from './instances.ts';

/** How often each operation of AWS is called by one deployment, by all programs together. */
export interface Calls {
  instances: number;
  operations: { service: string; operation: string; calls: number }[];
}

const INSTANCES = 3;

export const countCalls = (): Promise<Calls> =>
  inOwnCloud('calls', async ({ directory, cloud, instances }) => {
    for (let number = 1; number <= INSTANCES; number += 1)
      await instances.start(number, sleepingService(join(directory, `host${number}`)));
    const jar = join(directory, 'app.jar');
    for (const version of ['1.0.0', '1.0.1']) {
      await writeFile(jar, jarText(version));
      await instances.publish(['push', 'app', version, jar, '--output', 'lines']);
    }
    await instances.publish(['app', '1.0.0', '--env', 'dev', '--output', 'lines']);
    const before = cloud.requests.length;
    await instances.publish(['app', '1.0.1', '--env', 'dev', '--output', 'lines']);
    const counts = new Map<string, Calls['operations'][number]>();
    for (const { service, operation } of cloud.requests.slice(before)) {
      const key = `${service} ${operation}`;
      const row = counts.get(key) ?? { service, operation, calls: 0 };
      row.calls += 1;
      counts.set(key, row);
    }
    const operations = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    return { instances: INSTANCES, operations };
  });
