import * as z from 'zod';
import { positive } from './config-fields.ts';

/** `lifecycle:` of agent.yaml: which announcements about the life of the instance are watched. Times in ms. */

const hookName = z
  .string()
  .regex(/^[A-Za-z0-9\-_/]{1,255}$/, 'expected the name of a lifecycle hook: letters, digits, - _ /');
export const lifecycle = z.strictObject({
  /** Watch for interruptions and rebalance recommendations of a spot instance. */
  spot: z.boolean().default(true),
  /** The time for the end of the instance where nobody announces one. */
  within: positive.default(900_000),
  autoScaling: z
    .strictObject({
      /** Left out: the agent asks Auto Scaling once. */
      group: z.string().min(1).max(255).optional(),
      terminateHook: hookName.optional(),
      launchHook: hookName.optional(),
      launchWithin: positive.default(1_800_000),
      onFailedLaunch: z.enum(['wait', 'abandon']).default('wait'),
    })
    .optional(),
});
