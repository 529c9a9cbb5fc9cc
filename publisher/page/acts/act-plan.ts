import type { EnvironmentView, RunAnswer } from '../../console/api.ts';
import { verbOf } from './act-command.ts';
import type { ActForm } from './act-form.ts';

/** The waves of a deployment: what the options ask for, and what `plan` says. Pure. */

/** The sizes of the waves, and the lines that the terminal would print. */
export interface Plan {
  sizes: readonly number[];
  lines: readonly string[];
}

/** The plan in an answer of `POST /api/run`; undefined where there is none. */
export function planIn({ things = [], lines = [] }: RunAnswer): Plan | undefined {
  const [thing] = things as { type?: unknown; waves?: unknown }[];
  if (thing?.type !== 'plan' || !Array.isArray(thing.waves)) return undefined;
  const sizes = thing.waves.map(({ instances }: { instances?: unknown }) =>
    Array.isArray(instances) ? instances.length : 0,
  );
  return { sizes, lines };
}

/** `waves of 1 · 3 · 3 · 2 instances`. */
export function sizesText({ sizes }: Plan): string {
  const [only] = sizes;
  if (sizes.length === 1) return `all at once: ${only} ${only === 1 ? 'instance' : 'instances'}`;
  return sizes.length === 0 ? 'no instance' : `waves of ${sizes.join(' · ')} instances`;
}

/** `canary 1, then batches of 25%; a person confirms`: by the options, else by the defaults of the config. */
export function strategyText(form: ActForm, environment: EnvironmentView | undefined): string | undefined {
  if (!['deploy', 'promote', 'restart'].includes(verbOf(form))) return undefined;
  const defaults = environment?.services[form.service ?? ''] ?? {};
  const { values, flags } = form;
  const canary = values.canary ?? defaults.canary;
  const batch = values.batch ?? defaults.batch;
  const wait = values['auto-confirm'] ?? (flags.has('confirm') ? undefined : defaults.autoConfirm);
  const byPerson = flags.has('confirm') || environment?.confirm !== undefined || defaults.confirm === true;
  const isRolling =
    canary !== undefined ||
    batch !== undefined ||
    wait !== undefined ||
    byPerson ||
    defaults.strategy === 'rolling';
  if (!isRolling) return 'all instances at once';
  const batches = `batches of ${String(batch ?? '25%')}`;
  const gate =
    environment?.confirm === 'other'
      ? '; somebody else than who deploys confirms'
      : byPerson
        ? '; a person confirms'
        : wait === undefined
          ? ''
          : `; waits ${String(wait)} after the canary`;
  return `${canary === undefined ? batches : `canary ${String(canary)}, then ${batches}`}${gate}`;
}
