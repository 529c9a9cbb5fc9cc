import { accountOfArn } from '../../shared/aws-names.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import { bucketSettings } from '../setup/bucket-settings.ts';
import { examine, type Step, type StepState } from '../setup/setting.ts';
import { topicSettings } from '../setup/topic-settings.ts';
import { wantedOf } from '../setup/wanted.ts';
import type { DoctorFinding } from './finding.ts';

/** Whether topic and bucket are as `init` makes them: policies, encryption, versioning, region, lifecycle. */

/** How many settings are read at a time. */
const LOOKS = 4;

const STATES: Record<StepState, DoctorFinding['state']> = {
  ok: 'ok',
  created: 'ok',
  changed: 'ok',
  missing: 'wrong',
  differs: 'wrong',
  wrong: 'wrong',
  failed: 'wrong',
  denied: 'unknown',
};

/**
 * Looks at the topic or the bucket, and changes nothing.
 * @throws AWS_UNREACHABLE; AWS_DENIED where AWS does not accept the credentials at all.
 */
export async function examineSetup(
  { aws, env, signal }: Session,
  kind: 'topic' | 'bucket',
): Promise<DoctorFinding[]> {
  const wanted = wantedOf({
    ...{ env: env.name, region: env.region, bucket: env.bucket, account: accountOfArn(env.topic) },
    events: env.notify?.events,
  });
  const [thing, ...settings] =
    kind === 'topic' ? topicSettings(aws, wanted).slice(0, 1) : bucketSettings(aws, wanted);
  if (thing === undefined) throw new Error('nothing to look at');
  const steps = await examine(thing, signal);
  const exists = steps.at(-1)?.state === 'ok';
  const looks = await mapLimit(exists ? settings : [], LOOKS, (setting) => examine(setting, signal));
  steps.push(...looks.flat());
  return steps.map((step) => findingOf(step, env.name));
}

function findingOf({ state, thing, what, text, action, hint }: Step, env: string): DoctorFinding {
  const about = what === undefined ? thing : `${what} of ${thing}`;
  const init = `trigger-deploy init --env ${env} sets it right`;
  const kind = thing.split(' ')[0] ?? '';
  return {
    // `bucket-public-access-block`; `bucket` for the thing itself.
    id: [kind, ...(what?.split(' ') ?? [])].join('-'),
    state: STATES[state],
    what: `${about}: ${text}`,
    hint: hintOf(state, action === undefined ? hint : `it needs ${action}`, init),
  };
}

function hintOf(state: StepState, hint: string | undefined, init: string): string | undefined {
  if (state === 'missing' || state === 'differs') return init;
  return state === 'wrong' ? 'correct it by hand: it belongs to somebody else' : hint;
}
