import { sleepUnlessAborted } from '../../shared/abort.ts';
import { awsError, awsErrorName } from '../../shared/aws-errors.ts';
import { backoffMs, retry } from '../../shared/retry.ts';

/** One thing that `init` keeps right: how it is looked at, and how it is made right. */
export interface Setting {
  /** Whose: `bucket acme-deploys-dev`. */
  thing: string;
  /** What of it: `versioning`; left out for the thing itself. */
  what?: string;
  /** The IAM actions of the look and of the change. */
  reads: string;
  writes: string;
  /** @throws errors of AWS. */
  look(): Promise<Look>;
  /** Whether this error of a new thing passes within seconds. */
  passes?(error: unknown): boolean;
}

export interface Look {
  /** How it is, in one line: `off`. */
  text: string;
  /** Makes it right; undefined when it is right. Somebody else may have done so meanwhile. */
  mend?: (() => Promise<void>) | undefined;
  /** How it should be, in one line. */
  wanted?: string;
  /** Whether it does not exist yet; left out when it exists and differs. */
  missing?: boolean;
  /** What is wrong here and belongs to somebody else, so that only a person can put it right; one line each. */
  wrong?: readonly string[];
}

/**
 * `ok`, or what has to be done (`missing`, `differs`), what was done (`created`, `changed`), what `init` does not touch
 * (`wrong`), what the credentials do not allow (`denied`), and what AWS refused otherwise (`failed`).
 */
export type StepState = 'ok' | 'missing' | 'differs' | 'created' | 'changed' | 'wrong' | 'denied' | 'failed';

/** What `init` found or did, as it is shown. */
export interface Step {
  state: StepState;
  thing: string;
  what?: string | undefined;
  text: string;
  /** The IAM action that is missing, where AWS denied one. */
  action?: string | undefined;
  hint?: string | undefined;
}

/** A configuration that another request changes at the same time is refused with 409 for a moment. ms */
const PATIENCE = { first: 200, longest: 3000, attempts: 8 };
/** S3 may show an old configuration for a moment after a change. ms */
const UNTIL_SHOWN = { first: 100, longest: 2000 };
const LOOKS_UNTIL_SHOWN = 6;
/** How often a change is made that another run took back with what it had read before. */
const ROUNDS = 2;

/** Looks at `setting` and changes nothing. @throws the reason of `signal`; AWS_* where no other call can succeed either. */
export async function examine(setting: Setting, signal: AbortSignal): Promise<Step[]> {
  try {
    const look = await patiently(setting, () => setting.look(), signal);
    const state = look.mend === undefined ? 'ok' : look.missing ? 'missing' : 'differs';
    const text = look.mend && look.wanted ? `${look.text}; wanted: ${look.wanted}` : look.text;
    return [stepOf(setting, state, text), ...wrongOf(setting, look)];
  } catch (error) {
    return [failureOf(setting, error, setting.reads, signal)];
  }
}

/**
 * Looks again, makes `setting` right if it still is not, and waits until AWS shows it. Another run may do the same at the
 * same time. @throws as `examine`.
 */
export async function keepRight(setting: Setting, signal: AbortSignal): Promise<Step[]> {
  let action = setting.reads;
  try {
    let look = await patiently(setting, () => setting.look(), signal);
    const { missing, mend: needed } = look;
    for (let round = 0; look.mend !== undefined && round < ROUNDS; round += 1) {
      action = setting.writes;
      await patiently(setting, look.mend, signal);
      action = setting.reads;
      look = await lookUntilRight(setting, signal);
    }
    const state =
      look.mend !== undefined ? 'failed' : needed === undefined ? 'ok' : missing ? 'created' : 'changed';
    const hint = state === 'failed' ? 'it was set, but AWS does not show it yet: run init again' : undefined;
    return [{ ...stepOf(setting, state, look.text), hint }, ...wrongOf(setting, look)];
  } catch (error) {
    return [failureOf(setting, error, action, signal)];
  }
}

async function lookUntilRight(setting: Setting, signal: AbortSignal): Promise<Look> {
  for (let attempt = 0; ; attempt += 1) {
    const look = await patiently(setting, () => setting.look(), signal);
    if (look.mend === undefined || attempt >= LOOKS_UNTIL_SHOWN) return look;
    await sleepUnlessAborted(backoffMs(attempt, UNTIL_SHOWN), signal);
  }
}

/** The SDK repeats what was throttled or not answered; what is left is a change that another request is making. */
async function patiently<T>(setting: Setting, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const retryable = (error: unknown) =>
    awsErrorName(error) === 'OperationAborted' || (setting.passes?.(error) ?? false);
  return await retry(work, { ...PATIENCE, signal, retryable });
}

const stepOf = ({ thing, what }: Setting, state: StepState, text: string): Step => ({
  state,
  thing,
  what,
  text,
});

const wrongOf = (setting: Setting, { wrong = [] }: Look): Step[] =>
  wrong.map((text) => stepOf(setting, 'wrong', text));

/** Codes after which no other call can succeed. */
const ENDS_ALL: readonly string[] = ['AWS_UNREACHABLE', 'INTERRUPTED'];
/** Names of errors that deny one action, and not the caller. */
const DENIES_ACTION =
  /^(AccessDenied|AccessDeniedException|AuthorizationError(Exception)?|HTTP 403|Forbidden)$/;

function failureOf(setting: Setting, error: unknown, action: string, signal: AbortSignal): Step {
  signal.throwIfAborted();
  const { thing, what } = setting;
  const doing = action === setting.reads ? 'look at' : 'set';
  const failure = awsError(error, `${doing} ${nameOf({ thing, what })}`);
  const isDenied = failure.code === 'AWS_DENIED';
  // Without an answer, or with credentials that AWS does not accept, each other call would end in the same way.
  if (ENDS_ALL.includes(failure.code) || (isDenied && !DENIES_ACTION.test(awsErrorName(error)))) {
    throw failure;
  }
  if (isDenied) {
    const hint = `allow ${action} to the role of these credentials, then run init again`;
    return { ...stepOf(setting, 'denied', `${action} is denied`), action, hint };
  }
  return { ...stepOf(setting, 'failed', failure.message), hint: failure.hint };
}

/** `the versioning of bucket acme-deploys-dev`. */
const nameOf = ({ thing, what }: { thing: string; what?: string | undefined }) =>
  what === undefined ? thing : `the ${what} of ${thing}`;
