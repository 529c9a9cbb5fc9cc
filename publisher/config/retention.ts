import * as z from 'zod';
import type { Retention } from '../plan/retention.ts';

/** `retention:` of trigger-deploy.yaml: what `gc` keeps. */

const HOUR_MS = 3_600_000;
const UNIT_MS = { h: HOUR_MS, d: 24 * HOUR_MS, w: 7 * 24 * HOUR_MS } as const;
const AGE = /^([1-9]\d{0,4})([hdw])$/;

const COUNT = 'expected a whole number, 1 or more';
const count = z.int({ error: COUNT }).min(1, { error: COUNT });
const age = z
  .string({ error: 'expected a time such as 30d, 12w or 48h' })
  .regex(AGE, { error: 'expected a time such as 30d, 12w or 48h' });

export const retentionInFile = z.strictObject(
  {
    keepVersions: count.optional(),
    keepVersionsFor: age.optional(),
    keepDeployments: count.optional(),
    keepDeploymentsFor: age.optional(),
  },
  {
    error: ({ code }) =>
      code === 'unrecognized_keys'
        ? undefined
        : 'expected keepVersions, keepVersionsFor, keepDeployments and keepDeploymentsFor',
  },
);
export type RetentionInFile = z.infer<typeof retentionInFile>;

/** The retention of a service: each key of its own takes the place of that of its environment. */
export function retentionOf(
  environment: RetentionInFile | undefined,
  service: RetentionInFile | undefined,
): Retention {
  const { keepVersions, keepVersionsFor, keepDeployments, keepDeploymentsFor } = {
    ...environment,
    ...service,
  };
  return {
    ...{ keepVersions, keepDeployments },
    ...{ keepVersionsForMs: ageMs(keepVersionsFor), keepDeploymentsForMs: ageMs(keepDeploymentsFor) },
  };
}

function ageMs(text: string | undefined): number | undefined {
  const [, digits, unit] = AGE.exec(text ?? '') ?? [];
  return digits === undefined ? undefined : Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS];
}
