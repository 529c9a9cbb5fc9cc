import * as z from 'zod';
import { artifacts } from './manifest.ts';
import { envName, serviceName, ulid, versionName } from './names.ts';

/**
 * The signed document that says what every instance of a service should run. It carries the artifacts, so
 * that an agent reads nothing else. One that cannot be read never means "undeploy".
 */
export const desired = z.looseObject({
  v: z.literal(1),
  env: envName,
  service: serviceName,
  version: versionName,
  sequence: z.int().min(1),
  deployment: ulid,
  action: z.enum(['deploy', 'rollback']),
  artifacts,
  changedAt: z.iso.datetime(),
  changedBy: z.string().max(256),
  /** The version desired before this one: the default target of `rollback`. */
  previous: versionName.optional(),
  pause: z
    .looseObject({ by: z.string().max(256), since: z.iso.datetime(), reason: z.string().max(1024) })
    .optional(),
  nonce: z.string().max(64),
});
export type Desired = z.infer<typeof desired>;
