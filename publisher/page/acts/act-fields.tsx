import { useId } from 'preact/hooks';
import { Foreign } from '../parts/foreign.tsx';
import { age } from '../parts/times.ts';
import { environments, minute } from '../shell/state.ts';
import { verbOf } from './act-command.ts';
import { type ActForm, FLAGS, type FlagName, OPTIONS, VALUES, type ValueName } from './act-form.ts';
import type { World } from './act-world.ts';

/** What a person fills in. */

interface Filling {
  form: ActForm;
  change(more: Partial<ActForm>): void;
}

/** From which version to which: `1.4.1 → [1.4.2]`, and what is known of the new one. */
export function Fields({ form, world, change }: Filling & { world: World | undefined }) {
  const id = useId();
  const verb = verbOf(form);
  const runs = world?.runs;
  if (verb !== 'deploy' && verb !== 'promote' && verb !== 'rollback') {
    return verb === 'restart' && runs ? (
      <p>
        <Foreign text={runs} /> runs, and keeps running.
      </p>
    ) : null;
  }
  return (
    <>
      {verb === 'promote' && <From form={form} change={change} />}
      <p class="change">
        {runs !== undefined && (
          <>
            <Foreign text={runs ?? 'nothing'} /> <span aria-hidden="true">→</span>{' '}
            <span class="unseen">becomes</span>
          </>
        )}
        <label>
          <span class="unseen">version</span>
          <input
            type="text"
            name="version"
            list={id}
            value={form.version}
            placeholder={verb === 'rollback' ? 'the previous version' : 'version'}
            maxLength={64}
            spellcheck={false}
            autocomplete="off"
            {...(form.version === '' && verb === 'deploy' ? { 'data-first': true } : {})}
            onInput={(event) => change({ version: event.currentTarget.value })}
          />
        </label>
        <datalist id={id}>
          {world?.versions.slice(0, 50).map(({ version }) => (
            <option key={version} value={version} />
          ))}
        </datalist>{' '}
        <Provenance form={form} world={world} />
      </p>
    </>
  );
}

function From({ form, change }: Filling) {
  return (
    <p>
      <label>
        promote from{' '}
        <select
          value={form.from ?? ''}
          onChange={(event) => change({ from: event.currentTarget.value, version: '' })}
        >
          {form.from === undefined && <option value="">choose</option>}
          {environments.value
            .filter(({ name }) => name !== form.env)
            .map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
        </select>
      </label>
    </p>
  );
}

/** Where the version has succeeded, and who pushed it when. */
function Provenance({ form, world }: { form: ActForm; world: World | undefined }) {
  const version = world?.versions.find((one) => one.version === form.version);
  if (version === undefined) return null;
  const requires = environments.value.find(({ name }) => name === form.env)?.requires;
  const proof = version.places.find(
    ({ env, state }) => env === requires && (state === 'desired' || state === 'succeeded'),
  );
  const { pushedBy, pushedAt } = version;
  return (
    <span class="dim">
      {requires !== undefined &&
        (proof ? `succeeded in ${requires}${agoOf(proof.succeededAt)}` : `has not succeeded in ${requires}`)}
      {pushedAt !== undefined && (
        <>
          {requires !== undefined && ' · '}pushed {age(pushedAt, minute.value)} ago
        </>
      )}
      {pushedBy !== undefined && (
        <>
          {' '}
          by <Foreign text={pushedBy} />
        </>
      )}
    </span>
  );
}

export function Reason({
  form,
  change,
  isRequired,
  longest,
}: Filling & { isRequired: boolean; longest: number }) {
  return (
    <label class="field">
      reason{isRequired ? ' (required)' : ''}
      <textarea
        name="reason"
        rows={2}
        maxLength={longest}
        value={form.reason}
        aria-required={isRequired}
        {...(isRequired && form.reason === '' ? { 'data-first': true } : {})}
        onInput={(event) => change({ reason: event.currentTarget.value })}
      />
    </label>
  );
}

const FLAG_TEXTS: Readonly<Record<FlagName, string>> = {
  confirm: 'wait after the canary until a person confirms',
  queue: 'wait in the queue while another deployment runs',
  jump: 'wait at the front of the queue; needs a reason',
  'despite-pause': 'even if the service is paused; needs a reason',
  'skip-checks': 'for an emergency: without alarms and verify; needs a reason',
};
const VALUE_TEXTS: Readonly<Record<ValueName, { label: string; example: string }>> = {
  canary: { label: 'canary: how many instances switch first', example: '1 or 5%' },
  batch: { label: 'batch: how many switch together then', example: '4 or 25%' },
  'auto-confirm': { label: 'continue by itself after', example: '10m' },
  only: { label: 'only these instances; the desired state stays', example: 'i-0d3e4f5a, i-0990aabb' },
  'allow-missing': { label: 'how many instances may be missing', example: '0' },
};

/** The options that people seldom use. */
export function Options({ form, change }: Filling) {
  const own = OPTIONS[form.act];
  if (own.length === 0) return null;
  const isSet = own.some((name) => form.values[name as ValueName] || form.flags.has(name as FlagName));
  return (
    <details class="options" open={isSet || undefined}>
      <summary>options</summary>
      {VALUES.filter((name) => own.includes(name)).map((name) => (
        <label class="field" key={name}>
          {VALUE_TEXTS[name].label}
          <input
            type="text"
            name={name}
            value={form.values[name] ?? ''}
            placeholder={VALUE_TEXTS[name].example}
            maxLength={512}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => change({ values: { ...form.values, [name]: event.currentTarget.value } })}
          />
        </label>
      ))}
      {FLAGS.filter((name) => own.includes(name)).map((name) => (
        <label class="line" key={name}>
          <input
            type="checkbox"
            checked={form.flags.has(name)}
            disabled={name === form.act}
            onChange={(event) => change({ flags: withFlag(form.flags, name, event.currentTarget.checked) })}
          />{' '}
          --{name}: {FLAG_TEXTS[name]}
        </label>
      ))}
    </details>
  );
}

export function withFlag(flags: ReadonlySet<FlagName>, name: FlagName, on: boolean): ReadonlySet<FlagName> {
  const others = [...flags].filter((one) => one !== name);
  return new Set(on ? [...others, name] : others);
}

/** ` 2 h ago`; nothing where the time is not known. */
const agoOf = (at: number | undefined) => (at === undefined ? '' : ` ${age(at, minute.value)} ago`);
