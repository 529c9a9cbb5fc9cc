import * as z from 'zod';
import { artifacts } from './manifest.ts';
import { envName, serviceName, ulid, versionName } from './names.ts';

/**
 * The signed document that says which version every instance of a service should run. It contains the artifacts, so an
 * agent needs no other document to converge. A document that cannot be read never means "undeploy".
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
  /** The version that a later `rollback` returns to. After a deployment it is the desired version before this one. */
  previous: versionName.optional(),
  pause: z
    .looseObject({
      by: z.string().max(256),
      since: z.iso.datetime(),
      reason: z.string().max(1024),
      /** Older publishers omit it. */
      scope: z.enum(['environment', 'service']).optional(),
    })
    .optional(),
  nonce: z.string().max(64),
});
export type Desired = z.infer<typeof desired>;
