import { keys } from '../../../../shared/names.ts';
import { isEnding } from '../../../../shared/states.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import type { RequestRecord } from '../../../support/cloud/requests.ts';
import { BUCKET, ENV } from '../../../support/fleet/fleet.ts';
import { deploymentIn } from '../../../support/publisher/announcements.ts';

/** Everything that was ever written into the record, as it was written: an object's last state forgets. */
export interface RecordWatch {
  /** The endings of one instance in one deployment, each as often as it was reported with other content. */
  readonly endings: ReadonlyMap<string, readonly string[]>;
  /** The lock of each service: every sequence written, in order, with the one who took it (none: it was freed). */
  readonly locks: ReadonlyMap<string, readonly { sequence: number; owner: string | undefined }[]>;
  /** The sequence each deployment's record has, by service. */
  readonly records: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Each desired state of a service. */
  readonly desired: ReadonlyMap<string, readonly { sequence: number; version: string; deployment: string }[]>;
}

interface Writing {
  key: string;
  text: string;
}

export function watchRecord(cloud: Cloud): RecordWatch {
  const endings = new Map<string, string[]>();
  const locks = new Map<string, { sequence: number; owner: string | undefined }[]>();
  const records = new Map<string, Map<string, number>>();
  const desired = new Map<string, { sequence: number; version: string; deployment: string }[]>();

  function see({ key, text }: Writing): void {
    const service = key.split('/')[2] ?? '';
    if (key === keys.lock(ENV, service)) {
      const { sequence, owner } = JSON.parse(text);
      append(locks, service, { sequence, owner: owner?.id });
    } else if (key === keys.desired(ENV, service)) {
      const { sequence, version, deployment } = payload(text);
      append(desired, service, { sequence, version, deployment });
    } else if (key.endsWith('/deployment.jws')) {
      const { deployment, sequence } = deploymentIn(text) as { deployment: string; sequence: number };
      const known = records.get(service) ?? new Map<string, number>();
      records.set(service, known.set(deployment, sequence));
    } else if (key.includes('/reports/')) {
      const { state, n } = JSON.parse(text);
      if (!isEnding(state)) return;
      const said = `${state} (report ${n})`;
      if (!endings.get(key)?.includes(said)) append(endings, key, said);
    }
  }

  const open = new Set<RequestRecord>();
  let next = 0;
  // Asked with every record whenever anything changes; one look per change is enough.
  const look = (first: RequestRecord) => {
    if (first !== cloud.requests[0]) return false;
    for (; next < cloud.requests.length; next += 1) {
      const request = cloud.requests[next];
      if (request?.operation === 'PutObject' && request.key?.startsWith(`state/${ENV}/`)) open.add(request);
    }
    for (const request of open) {
      // Without an answer, for its writer was killed, it may have been written as well.
      if (request.status === undefined) continue;
      open.delete(request);
      const stored = cloud.object(BUCKET, request.key ?? '');
      if (stored) see({ key: request.key ?? '', text: stored.body.toString('utf8') });
    }
    return false;
  };
  void cloud.until(look);
  return { endings, locks, records, desired };
}

/** The deployments of a service in the order in which they were recorded. */
export const recordedIds = (watch: RecordWatch, service: string): string[] => [
  ...(watch.records.get(service)?.keys() ?? []),
];

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}

function payload(jws: string) {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'));
}
