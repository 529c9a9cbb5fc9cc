import type { RequestRecord } from '../cloud/requests.ts';
import type { Fleet } from './fleet.ts';

/** The requests for an archive that agents have made so far, oldest first. */
export const archiveDownloads = ({ cloud }: Pick<Fleet, 'cloud'>): RequestRecord[] =>
  cloud.requests.filter(({ operation, key }) => operation === 'GetObject' && key?.endsWith('.tar.gz'));
