import * as z from 'zod';

/** The automatic checks of a deployment in its record: what was demanded, and what they gave. */

/** In the head: what a deployment must pass. */
export const checks = z.looseObject({
  /** The CloudWatch alarms; `insufficientData` says whether one without data counts as one in ALARM. */
  alarms: z.array(z.looseObject({ name: z.string(), insufficientData: z.enum(['fail', 'ignore']) })),
  /** How long the alarms are watched after the last wave. */
  watchAlarmsMs: z.int().min(0),
  /** For people: a publisher runs the command of its own config, and never one that it read. */
  verify: z.looseObject({ run: z.array(z.string()), timeoutMs: z.int().min(1) }).optional(),
  /** `--skip-checks`: none of them is made. */
  skipped: z.literal(true).optional(),
});
export type Checks = z.infer<typeof checks>;

/** An alarm as CloudWatch has it. */
const alarmState = z.looseObject({
  name: z.string(),
  /** `OK`, `ALARM` or `INSUFFICIENT_DATA`; `missing` when no such alarm exists. */
  state: z.string(),
  /** Why it has this state, as CloudWatch says it. */
  reason: z.string().optional(),
});
export type AlarmState = z.infer<typeof alarmState>;

/** One run of the command `verify`. */
const verifyRun = z.looseObject({
  /** After which part of the rollout it runs. */
  phase: z.enum(['canary', 'last']),
  startedAt: z.iso.datetime(),
  /** The command that ran, where the config of its publisher had another one than the deployment demands. For people. */
  run: z.array(z.string()).optional(),
  /** Left out while it runs, or when its publisher stopped: it then runs again. */
  endedAt: z.iso.datetime().optional(),
  passed: z.boolean().optional(),
  /** Why it did not pass: `exit code 3`. */
  why: z.string().optional(),
  /** The end of what it wrote, cleaned. */
  output: z.string().optional(),
});
export type VerifyRun = z.infer<typeof verifyRun>;

/** What moves: what the checks gave so far. */
export const checked = z.looseObject({
  /** Since when the alarms are watched after the last wave. */
  watchingSince: z.iso.datetime().optional(),
  /** The alarms that ended the deployment. */
  alarms: z.looseObject({ at: z.iso.datetime(), failed: z.array(alarmState) }).optional(),
  verify: z.array(verifyRun).optional(),
});
export type Checked = z.infer<typeof checked>;
