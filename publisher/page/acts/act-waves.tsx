import { useState } from 'preact/hooks';
import type { ErrorView } from '../../console/api.ts';
import { ForeignBlock } from '../parts/foreign.tsx';
import { ErrorBox } from '../parts/parts.tsx';
import { errorOf, runCommand } from '../shell/request.ts';
import { config } from '../shell/state.ts';
import { planArgvOf } from './act-command.ts';
import type { ActForm } from './act-form.ts';
import { type Plan, planIn, sizesText, strategyText } from './act-plan.ts';
import { newRunId } from './act-run.ts';

type Shown = { of: string } & ({ plan: Plan } | { error: ErrorView } | { isBusy: true });

/**
 * In which waves the instances switch. What the options ask for is said at once. Which instance is in which wave is asked
 * for by a press: a plan calls the roll, which is signed, and opening a dialog must not do that.
 */
export function Waves({ form }: { form: ActForm }) {
  const [shown, setShown] = useState<Shown>();
  const environment = config.value?.environments.find(({ name }) => name === form.env);
  const strategy = strategyText(form, environment);
  const argv = form.version === '' ? undefined : planArgvOf(form, form.version);
  if (strategy === undefined) return null;
  const of = argv?.join(' ') ?? '';
  const current = shown?.of === of ? shown : undefined;
  const ask = async () => {
    if (argv === undefined) return;
    setShown({ of, isBusy: true });
    try {
      const plan = planIn(await runCommand(argv, newRunId()));
      setShown({ of, ...(plan ? { plan } : { error: UNREADABLE }) });
    } catch (error) {
      setShown({ of, error: errorOf(error) });
    }
  };
  return (
    <div class="waves">
      <p>
        {current !== undefined && 'plan' in current ? `${sizesText(current.plan)} (${strategy})` : strategy}{' '}
        {argv !== undefined && !(current !== undefined && 'plan' in current) && (
          <button
            type="button"
            disabled={current !== undefined && 'isBusy' in current}
            onClick={() => void ask()}
          >
            {current !== undefined && 'isBusy' in current ? 'Asking the instances …' : 'Show the plan'}
          </button>
        )}
      </p>
      {current !== undefined && 'plan' in current && (
        <details>
          <summary>which instance in which wave</summary>
          <ForeignBlock text={current.plan.lines.join('\n')} label="The plan" />
        </details>
      )}
      {current !== undefined && 'error' in current && <ErrorBox error={current.error} />}
    </div>
  );
}

const UNREADABLE: ErrorView = { code: 'BAD_ANSWER', message: 'the plan cannot be read' };
