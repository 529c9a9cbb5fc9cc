import { config } from '../shell/state.ts';
import { ActButton, Why } from './act-button.tsx';
import { whyNever, whyNotConfirm } from './allowed.ts';

/** The confirmation of a deployment that waits: for who may confirm there, and for who would be refused, with the reason. */

interface Waiting {
  env: string;
  service: string;
  deployment: string;
  version: string;
  /** Who began it. */
  by: string;
}

export function ConfirmButton({ by, ...on }: Waiting) {
  const known = config.value;
  if (known === undefined) return null;
  const why = whyNotConfirm(known, on.env, by);
  if (!known.person.isMachine && whyNever(known, 'confirm', on.env, on.service) !== undefined) return null;
  return (
    <ActButton
      act={{ act: 'confirm', ...on }}
      label="Confirm…"
      kind={why === undefined ? 'primary' : ''}
      why={why && idOf(on)}
    />
  );
}

/** Why this person cannot confirm it; nothing where they can, or where no rule lets them. */
export function WhyNotConfirm({ by, ...on }: Waiting) {
  const known = config.value;
  const why = known && whyNotConfirm(known, on.env, by);
  if (known === undefined || why === undefined) return null;
  if (!known.person.isMachine && whyNever(known, 'confirm', on.env, on.service) !== undefined) return null;
  return <Why id={idOf(on)} what="Confirm" obstacle={why} />;
}

const idOf = ({ deployment }: Pick<Waiting, 'deployment'>) => `why-not-confirm-${deployment}`;
