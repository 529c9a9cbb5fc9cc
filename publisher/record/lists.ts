import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { ReadNotes } from './read-notes.ts';

/** Lists the objects of a bucket. */

interface ListedObject {
  key: string;
  etag: string;
  lastModified: number; // ms since the epoch, by S3's clock
  size: number; // bytes
}

export interface Lists {
  /**
   * All objects below `prefix`, or with `how` those right below it, sorted by key.
   * @throws RECORD_DAMAGED when there are more than `MOST_KEYS`.
   */
  list(prefix: string, how?: 'right below'): Promise<ListedObject[]>;
  /**
   * The names of the folders right below `prefix`, sorted: those after `after` and before `until`, if given.
   * @throws as `list`.
   */
  folders(prefix: string, between?: { after?: string; until?: string | undefined }): Promise<string[]>;
  /** The first of them, or the first after `after`, as many as S3 lists in one answer, and whether there are more. */
  someFolders(prefix: string, after?: string): Promise<{ names: string[]; more: boolean }>;
}

/** The SDK takes any page with the status 200 for success, such as one of a proxy. */
export const notOfS3 = () => new Error('the answer is not an answer of S3');

/** The most keys that one list may have: ten deployments a day need 27 years for so many. */
const MOST_KEYS = 100_000;

interface Listing {
  Prefix: string;
  Delimiter?: string;
  StartAfter?: string;
  ContinuationToken?: string;
}

interface Page {
  Contents?:
    | {
        Key?: string | undefined;
        ETag?: string | undefined;
        LastModified?: Date | undefined;
        Size?: number | undefined;
      }[]
    | undefined;
  CommonPrefixes?: { Prefix?: string | undefined }[] | undefined;
  IsTruncated?: boolean | undefined;
  NextContinuationToken?: string | undefined;
}

export function openLists(aws: Aws, bucket: string, notes: ReadNotes): Lists {
  const where = (key: string) => `s3://${bucket}/${key}`;

  async function onePage(input: Listing): Promise<Page> {
    const noteRead = notes.begin('listing', input.Prefix);
    let listed = 0;
    try {
      const answer = await aws.s3.send(new ListObjectsV2Command({ Bucket: bucket, ...input }));
      if (answer.IsTruncated === undefined) throw notOfS3();
      listed = answer.KeyCount ?? 0;
      return answer;
    } catch (error) {
      throw awsError(error, `list ${where(input.Prefix)}`);
    } finally {
      noteRead(listed);
    }
  }

  /** All pages, or those up to the one for which `isLast` returns true. */
  async function pages<T>(
    input: Listing,
    take: (page: Page) => T[],
    isLast: (taken: T[]) => boolean = () => false,
  ): Promise<T[]> {
    const found: T[] = [];
    let next: string | undefined;
    do {
      const page = await onePage({ ...input, ...(next !== undefined && { ContinuationToken: next }) });
      const taken = take(page);
      found.push(...taken);
      if (found.length > MOST_KEYS) throw tooMany(where(input.Prefix));
      next = isLast(taken) ? undefined : page.NextContinuationToken;
    } while (next !== undefined);
    return found;
  }

  const namesIn = (page: Page, prefix: string) =>
    (page.CommonPrefixes ?? []).map((one) => (one.Prefix ?? '').slice(prefix.length, -1)).sort();

  return {
    list: (prefix, how) =>
      pages({ Prefix: prefix }, (page) =>
        (page.Contents ?? [])
          .map((one) => ({
            key: one.Key ?? '',
            etag: one.ETag ?? '',
            lastModified: one.LastModified?.getTime() ?? 0,
            size: one.Size ?? 0,
          }))
          .filter(({ key }) => how === undefined || !key.includes('/', prefix.length)),
      ),
    async folders(prefix, { after, until } = {}) {
      const input = {
        Prefix: prefix,
        Delimiter: '/',
        ...(after !== undefined && { StartAfter: prefix + after }),
      };
      const isPast = (name: string | undefined) => until !== undefined && name !== undefined && name >= until;
      const names = await pages(
        input,
        (page) => namesIn(page, prefix),
        (taken) => isPast(taken.at(-1)),
      );
      return names.filter((name) => !isPast(name)).sort();
    },
    async someFolders(prefix, after) {
      const from = after === undefined ? {} : { StartAfter: prefix + after };
      const page = await onePage({ Prefix: prefix, Delimiter: '/', ...from });
      return { names: namesIn(page, prefix), more: page.IsTruncated === true };
    },
  };
}

function tooMany(where: string): TriggerDeployError {
  return new TriggerDeployError('RECORD_DAMAGED', `there are more than ${MOST_KEYS} objects below ${where}`, {
    hint: 'find out who wrote them, then delete those that do not belong there',
  });
}
