import * as z from 'zod';
import { envName, serviceName, sha256Hex, ulid } from './names.ts';

/** Who a person is by a token that a console verified: its issuer and subject. */
export const verifiedPerson = z.looseObject({ iss: z.string().max(1024), sub: z.string().max(256) });

/** The signed document with which a person confirms or cancels a deployment. */
export const decision = z.looseObject({
  v: z.literal(1),
  kind: z.enum(['confirm', 'cancel']),
  env: envName,
  service: serviceName,
  deployment: ulid,
  /** The SHA-256 of the head of the deployment's record: what was ordered when the person decided. */
  head: sha256Hex,
  by: z.string().max(256),
  /** The host of the console where the person decided. */
  via: z.string().max(255).optional(),
  verified: verifiedPerson.optional(),
  at: z.iso.datetime(),
  reason: z.string().max(1024).optional(),
  nonce: z.string().max(64),
});
export type Decision = z.infer<typeof decision>;
export type DecisionKind = Decision['kind'];
