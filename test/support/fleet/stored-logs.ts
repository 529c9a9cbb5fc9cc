import { gunzipSync } from 'node:zlib';
import type { Cloud } from '../cloud/cloud.ts';

/**
 * The logs of a service in the bucket, by folder, each joined of its parts.
 * @throws where bytes of a log are missing, or there twice.
 */
export function storedLogs(cloud: Cloud, bucket: string, prefix: string): Map<string, Buffer> {
  const parts = new Map<string, Buffer[]>();
  const ends = new Map<string, number>();
  for (const key of cloud.objects(bucket, prefix)) {
    const [, folder = '', start, end] = /^(.*)\/(\d{15})-(\d{15})\.gz$/.exec(key) ?? [];
    if (Number(start) !== (ends.get(folder) ?? 0)) throw new Error(`${key} begins elsewhere`);
    const bytes = gunzipSync(cloud.object(bucket, key)?.body ?? '');
    if (bytes.length !== Number(end) - Number(start)) throw new Error(`${key} has ${bytes.length} bytes`);
    ends.set(folder, Number(end));
    parts.set(folder, [...(parts.get(folder) ?? []), bytes]);
  }
  return new Map([...parts].map(([folder, all]) => [folder, Buffer.concat(all)]));
}
