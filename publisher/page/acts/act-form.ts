/**
 * What a dialog has filled in, from the address and back. Pure. An address may come from anyone: what cannot be a name
 * is left out here, so that no value becomes an option or another argument, and nothing is longer than it can be.
 */

export const ACTS = [
  ...(['deploy', 'promote', 'rollback', 'restart', 'queue', 'jump'] as const),
  ...(['pause', 'unpause', 'confirm', 'cancel', 'resume'] as const),
];
export type Act = (typeof ACTS)[number];

export const FLAGS = ['confirm', 'queue', 'jump', 'despite-pause', 'skip-checks'] as const;
export const VALUES = ['canary', 'batch', 'auto-confirm', 'only', 'allow-missing'] as const;
export type FlagName = (typeof FLAGS)[number];
export type ValueName = (typeof VALUES)[number];
export type OptionName = FlagName | ValueName;

export interface ActForm {
  act: Act;
  env: string;
  service?: string;
  deployment?: string;
  /** The environment that a version is promoted from. */
  from?: string;
  /** The version to deploy or to roll back to; empty where the person has chosen none. */
  version: string;
  reason: string;
  flags: ReadonlySet<FlagName>;
  values: Readonly<Partial<Record<ValueName, string>>>;
}

/** The parameters of the address that make up a dialog. */
export const ACT_PARAMETERS = [
  ...['act', 'env', 'service', 'deployment', 'from', 'version', 'reason'],
  ...FLAGS.map((name) => `with-${name}`),
  ...VALUES,
];

/** A reason has so many characters at most, as on the command line. */
export const LONGEST_REASON = 1024;
const LONGEST_VALUE = 512;

/** The forms of names, as shared/names.ts has them: none begins with `-`. */
const NAMES = {
  env: /^[a-z0-9]{1,16}$/,
  service: /^[a-z][a-z0-9_-]{0,62}$/,
  version: /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/,
  deployment: /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/,
} as const;

export const isVersion = (text: string) => NAMES.version.test(text);

const OF_WAVES: readonly OptionName[] = ['canary', 'batch', 'confirm', 'auto-confirm', 'only', 'skip-checks'];
const OF_DEPLOY: readonly OptionName[] = [...OF_WAVES, 'queue', 'jump', 'allow-missing'];

/** The options that a dialog has. */
export const OPTIONS: Readonly<Record<Act, readonly OptionName[]>> = {
  deploy: OF_DEPLOY,
  promote: OF_DEPLOY,
  restart: OF_DEPLOY,
  queue: OF_DEPLOY,
  jump: OF_DEPLOY,
  rollback: ['queue', 'jump', 'despite-pause', 'allow-missing'],
  resume: ['allow-missing'],
  pause: [],
  unpause: [],
  confirm: [],
  cancel: [],
};

const isOfDeployment = (act: Act) => act === 'confirm' || act === 'cancel' || act === 'resume';
const needsService = (act: Act) => act !== 'pause' && act !== 'unpause' && !isOfDeployment(act);

/** No control characters: in a copied command they could press keys of the terminal that it is pasted into. */
const textOf = (query: URLSearchParams, name: string, most: number) =>
  (query.get(name) ?? '').replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ').slice(0, most);

/** What the address fills in; `undefined` without a dialog, and why it cannot be read where a name in it is none. */
export function formOf(query: URLSearchParams): ActForm | { wrong: string } | undefined {
  const act = ACTS.find((one) => one === query.get('act'));
  if (act === undefined) return query.has('act') ? { wrong: 'names no action of this page' } : undefined;
  const named = (name: keyof typeof NAMES) => {
    const text = query.get(name) ?? '';
    return NAMES[name].test(text) ? text : undefined;
  };
  const [env, service, deployment] = [named('env'), named('service'), named('deployment')];
  if (env === undefined) return { wrong: 'names no environment' };
  if (query.get('service') && service === undefined)
    return { wrong: 'has a service name that cannot be one' };
  if (needsService(act) && service === undefined) return { wrong: 'names no service' };
  if (isOfDeployment(act) && deployment === undefined) return { wrong: 'names no deployment' };
  const from = query.get('from') ?? '';
  const values = VALUES.flatMap((name) => {
    const text = textOf(query, name, LONGEST_VALUE);
    return text && OPTIONS[act].includes(name) ? [[name, text] as const] : [];
  });
  const flags = FLAGS.filter((name) => query.has(`with-${name}`) && OPTIONS[act].includes(name));
  return {
    ...{ act, env, version: named('version') ?? '' },
    ...(service !== undefined && { service }),
    ...(isOfDeployment(act) && deployment !== undefined && { deployment }),
    ...(NAMES.env.test(from) && { from }),
    reason: textOf(query, 'reason', LONGEST_REASON),
    flags: new Set([...flags, ...implied(act)]),
    values: Object.fromEntries(values),
  };
}

/** `Join the queue` and `Jump the queue` are deployments with that option. */
const implied = (act: Act): FlagName[] => (act === 'queue' || act === 'jump' ? [act] : []);

/** The parameters of the address that fill in the same form; undefined removes one. */
export function queryOf(form: ActForm): Record<string, string | undefined> {
  const own = new Set<FlagName>(implied(form.act));
  return {
    ...{ act: form.act, env: form.env, service: form.service, deployment: form.deployment },
    ...{ from: form.from, version: form.version, reason: form.reason },
    ...Object.fromEntries(VALUES.map((name) => [name, form.values[name]])),
    ...Object.fromEntries(
      FLAGS.map((name) => [`with-${name}`, form.flags.has(name) && !own.has(name) ? '1' : undefined]),
    ),
  };
}
