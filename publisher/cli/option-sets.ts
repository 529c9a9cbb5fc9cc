import {
  choice,
  count,
  duration,
  environment,
  flag,
  instance,
  list,
  type Options,
  reason,
  sequence,
  size,
  sizeOrZero,
  tags,
  text,
  type ValuesOf,
  value,
} from './option-kinds.ts';

/** The options that several verbs have. */

/** How long a deployment is followed unless the command line or the config says otherwise, ms: see `--timeout`. */
export const DEFAULT_TIMEOUT_MS = 10 * 60 * 1000;
const TIMEOUT = 'such as 30s, 10m or 1h (default: 10m)';

/** The options of every verb. */
export const common = {
  env: value(environment.optional(), 'The environment (default: $TRIGGER_DEPLOY_ENV)', { alias: 'e' }),
  output: choice(
    ['table', 'lines', 'json'],
    'Output format: table, lines or json (default: table on a terminal, else lines)',
    { atTerminal: true },
  ),
  configFile: value(
    text.optional(),
    'The config file (default: the first trigger-deploy.yaml found in ., ~/.config/trigger-deploy, /etc/trigger-deploy)',
    { completes: 'file' },
  ),
  verbose: flag('Show the causes of an error', { atTerminal: true }),
} as const satisfies Options;

/** The option of every verb that follows a deployment. */
export const reporting = {
  junit: value(
    text.optional(),
    'A file that gets the result as JUnit XML, a test case for each instance (default: none)',
    {
      completes: 'file',
    },
  ),
} as const satisfies Options;

/** The options of `watch`; `following` includes them. */
export const watching = {
  ...reporting,
  timeout: value(duration.optional(), `How long to follow the deployment, ${TIMEOUT}`),
} as const satisfies Options;

/** The options of the verbs that start a deployment and follow it to its end. */
export const following = {
  ...watching,
  noWait: flag('Set the desired state, announce, and exit without waiting', { atTerminal: true }),
  reason: value(reason.optional(), 'Why; recorded in the history'),
  allowMissing: value(
    count.optional(),
    'How many instances may be missing: no answer, or not finished at the timeout (default: 0)',
  ),
  queue: flag('Wait in the queue while another deployment of the service runs (default: fail)'),
  jump: flag('As --queue, at the front of the queue; needs --reason'),
  ifSequence: value(
    sequence.optional(),
    'Refuse unless the desired state has this sequence, as status --output json shows it; 0: unless there is none (default: any)',
  ),
  idFile: value(
    text.optional(),
    'A file that gets the id of the deployment once it starts, for a script (default: none)',
    {
      completes: 'file',
    },
  ),
} as const satisfies Options;

/** The options of the verbs that can deploy in waves: which instances, in which waves. */
export const rolling = {
  strategy: choice(
    ['all', 'rolling'],
    'all: every instance at once; rolling: a canary, then batches (default: all; rolling if a wave option is given)',
  ),
  canary: value(
    size.optional(),
    'How many instances switch first: a number or a percentage, 1 or 5% (default: no canary)',
  ),
  batch: value(
    size.optional(),
    'How many instances then switch together: a number or a percentage, 4 or 25% (default: 25%)',
  ),
  confirm: flag('Wait after the canary until a person confirms (trigger-deploy confirm ID)'),
  autoConfirm: value(
    duration.optional(),
    'Wait this long after the canary, then continue if nothing failed, such as 10m (default: no wait)',
  ),
  pauseBetween: value(
    duration.optional(),
    'How long to wait between two waves, such as 30s (default: no wait)',
  ),
  maxFailures: value(
    sizeOrZero.optional(),
    'How many instances may fail before --on-failure applies: a number or a percentage, 2 or 10% (default: 0)',
  ),
  onFailure: choice(
    ['rollback', 'stop'],
    'rollback: switched instances roll back; stop: they stay on the new version (default: rollback)',
  ),
  skipChecks: flag('For an emergency: make none of the automatic checks (alarms, verify); needs --reason'),
  only: list(
    instance.array().min(1).max(5000).optional(),
    'Deploy to this instance only (repeatable); does not change the desired state',
  ),
  where: list(
    tags.optional(),
    'Deploy to instances with this tag only, KEY=VALUE (repeatable); does not change the desired state',
  ),
} as const satisfies Options;

export type FollowValues = ValuesOf<typeof following>;
export type RollingValues = ValuesOf<typeof rolling>;
