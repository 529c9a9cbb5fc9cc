import { type ActForm, FLAGS, isVersion, LONGEST_REASON, VALUES } from './act-form.ts';

/**
 * The command that a dialog types. Pure. Each value is one word with its option, `--reason=…`: no text of a person becomes
 * an option of its own.
 */

const VERBS: Readonly<Record<ActForm['act'], string>> = {
  ...{ deploy: 'deploy', queue: 'deploy', jump: 'deploy', promote: 'promote', rollback: 'rollback' },
  ...{ restart: 'restart', pause: 'pause', unpause: 'unpause' },
  ...{ confirm: 'confirm', cancel: 'cancel', resume: 'resume' },
};

/** The verb of the command line that the dialog runs. */
export const verbOf = ({ act }: Pick<ActForm, 'act'>) => VERBS[act];

/** Whether the command is about a version, and the command line can say which desired state the person saw. */
const changesDesired = (form: Pick<ActForm, 'act'>) =>
  ['deploy', 'promote', 'rollback', 'restart'].includes(verbOf(form));

/** The words behind `trigger-deploy`. `sequence` is that of the desired state that the person saw. */
export function argvOf(form: ActForm, sequence: number | undefined): string[] {
  const { env, version, reason } = form;
  return [
    ...wordsOf(form),
    ...(verbOf(form) === 'promote' ? [] : [`--env=${env}`]),
    ...(verbOf(form) === 'rollback' && version !== '' ? [`--to=${version}`] : []),
    ...optionsOf(form),
    ...(sequence !== undefined && changesDesired(form) ? [`--if-sequence=${sequence}`] : []),
    ...(reason.trim() !== '' && verbOf(form) !== 'resume' ? [`--reason=${reason.trim()}`] : []),
  ];
}

/** The plan of the same deployment; undefined where there is none. It asks the instances, and changes nothing. */
export function planArgvOf(form: ActForm, version: string): string[] | undefined {
  if (verbOf(form) !== 'deploy' && verbOf(form) !== 'promote' && verbOf(form) !== 'restart') return undefined;
  const options = optionsOf(form).filter((word) => !/^--(queue|jump|allow-missing)\b/.test(word));
  return ['plan', form.service ?? '', version, `--env=${form.env}`, ...options];
}

/** The verb and its arguments. They are names, which never begin with `-`. */
function wordsOf(form: ActForm): string[] {
  const { env, service = '', deployment = '', from = '', version } = form;
  switch (form.act) {
    case 'deploy':
    case 'queue':
    case 'jump':
      return version === '' ? [service] : [service, version];
    case 'promote':
      return [
        ...['promote', service, `--from=${from}`, `--to=${env}`],
        ...(version === '' ? [] : [`--version=${version}`]),
      ];
    case 'confirm':
    case 'cancel':
    case 'resume':
      return [form.act, deployment];
    default:
      return [form.act, ...(service === '' ? [] : [service])];
  }
}

function optionsOf({ flags, values }: ActForm): string[] {
  return [
    ...VALUES.flatMap((name) => {
      const text = values[name]?.trim() ?? '';
      const all = name === 'only' ? text.split(/[\s,]+/) : [text];
      return all.filter((one) => one !== '').map((one) => `--${name}=${one}`);
    }),
    ...FLAGS.filter((name) => flags.has(name)).map((name) => `--${name}`),
  ];
}

/** Why the command line would refuse the form as it is filled in; undefined when it would not. */
export function lackOf(form: ActForm): string | undefined {
  const verb = verbOf(form);
  if (verb === 'deploy' && !isVersion(form.version)) return 'Choose a version.';
  if (verb === 'promote' && form.from === undefined) return 'Choose the environment to promote from.';
  if (form.version !== '' && !isVersion(form.version)) return 'That cannot be a version.';
  if (form.reason.length > LONGEST_REASON) return `A reason has ${LONGEST_REASON} characters at most.`;
  if (form.flags.has('confirm') && form.values['auto-confirm']) {
    return 'A deployment waits for a person or for a time, not for both.';
  }
  return needsReason(form) && form.reason.trim() === '' ? 'Give a reason.' : undefined;
}

/** Whether the command line wants a reason. */
export function needsReason({ act, flags }: ActForm): boolean {
  return act === 'pause' || flags.has('jump') || flags.has('despite-pause') || flags.has('skip-checks');
}

/** What the button says: `Deploy 1.4.2 to 9 instances`. */
export function buttonText(form: ActForm, version: string, instances: number | undefined): string {
  const { act, env, service, values } = form;
  const named = values.only?.split(/[\s,]+/).filter(Boolean).length;
  const count = named || instances;
  const whom = count === undefined ? env : `${count} ${count === 1 ? 'instance' : 'instances'}`;
  switch (act) {
    case 'deploy':
      return `Deploy ${version} to ${whom}`;
    case 'queue':
      return `Queue ${version} for ${env}`;
    case 'jump':
      return `Queue ${version} at the front for ${env}`;
    case 'promote':
      return `Promote ${version} to ${whom}`;
    case 'rollback':
      return version === '' ? `Roll back ${whom}` : `Roll back ${whom} to ${version}`;
    case 'restart':
      return `Restart ${whom}`;
    case 'pause':
      return `Pause ${service ?? env}`;
    case 'unpause':
      return `Unpause ${service ?? env}`;
    case 'confirm':
      return 'Confirm: continue with the other waves';
    case 'cancel':
      return 'Cancel the deployment';
    case 'resume':
      return 'Resume the deployment';
  }
}

/** The title of the dialog: `Deploy payments to prd`. */
export function titleOf({ act, env, service }: ActForm): string {
  const what = service ?? 'all services';
  switch (act) {
    case 'deploy':
      return `Deploy ${what} to ${env}`;
    case 'queue':
      return `Queue a deployment of ${what} to ${env}`;
    case 'jump':
      return `Jump the queue: deploy ${what} to ${env}`;
    case 'promote':
      return `Promote ${what} to ${env}`;
    case 'rollback':
      return `Roll back ${what} in ${env}`;
    case 'restart':
      return `Restart ${what} in ${env}`;
    case 'pause':
      return `Pause ${what} in ${env}`;
    case 'unpause':
      return `Unpause ${what} in ${env}`;
    case 'confirm':
      return `Confirm ${service ?? 'a deployment'} in ${env}`;
    case 'cancel':
      return `Cancel ${service ?? 'a deployment'} in ${env}`;
    case 'resume':
      return `Resume ${service ?? 'a deployment'} in ${env}`;
  }
}
