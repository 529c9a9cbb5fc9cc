import * as z from 'zod';
import { awsNames } from '../shared/aws-names.ts';
import { size } from '../shared/config-file.ts';
import { absolutePath, fileNames, onOff, positive } from './config-fields.ts';

/** `logs:` of a service in agent.yaml. */
export const logs = z
  .strictObject({
    /** Files in a directory whose names match: the log that is written, and its rotated files. */
    files: z
      .array(z.strictObject({ dir: absolutePath, match: fileNames }))
      .max(16)
      .default([]),
    /** The journal of the unit. Left out: it is uploaded if the manager is systemd. */
    journal: z.boolean().optional(),
    every: positive.default(60 * 60 * 1000),
    /** Another bucket than the environment's, in the same region. */
    bucket: awsNames.bucket.optional(),
    compress: onOff.default(true),
    /** Bytes that are stored on one day at most. */
    maxPerDay: size.default(2 * 1024 ** 3),
  })
  .optional();

export type LogsConfig = NonNullable<z.infer<typeof logs>>;

/** Why these logs would be none; undefined if they are some. */
export function logsMistake(
  { files, journal }: LogsConfig,
  manager: 'systemd' | 'command',
): string | undefined {
  if (journal && manager !== 'systemd') return 'only a service of manager systemd has a unit with a journal';
  if (files.length > 0 || (journal ?? manager === 'systemd')) return undefined;
  return 'no logs: add `files`, or `journal: true` to a service of manager systemd';
}
