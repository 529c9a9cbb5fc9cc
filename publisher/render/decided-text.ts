import type { ShowAnswer } from '../commands/show.ts';
import type { Rolling } from '../record/deployment-schema.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import { localTime } from './text.ts';

/** Who confirmed or cancelled a deployment, and what it waits for. Pure. */

interface Decided {
  by: string;
  at: string;
  reason?: string | undefined;
  via?: string | undefined;
}

export const decisionText = ({ by, at, reason, via }: Decided) =>
  `by ${by}${via === undefined ? '' : ` via ${via}`} at ${localTime(Date.parse(at))}${reason === undefined ? '' : `: ${reason}`}`;

export function confirmedText(
  rolling: Rolling | undefined,
  { confirm }: ShowAnswer['decisions'],
): string | undefined {
  const confirmed = rolling?.confirmed;
  if (confirmed?.by === 'time')
    return `by itself at ${localTime(Date.parse(confirmed.at))}, as nothing had failed`;
  if (confirm) return decisionText(confirm);
  return confirmed && decisionText(confirmed);
}

/** What the deployment waits for, by its record. The record does not say whether a publisher still drives it. */
export function waitingFor(
  { deployment, env, status, rolling }: PastDeployment,
  { confirm, cancel }: ShowAnswer['decisions'],
): string | undefined {
  if (rolling?.awaitingSince === undefined || rolling.confirmed || confirm || cancel) return undefined;
  if (status !== 'announced' && status !== 'timed-out') return undefined;
  const until = localTime(Date.parse(rolling.awaitingSince) + (rolling.autoConfirmMs ?? 0));
  const person = rolling.confirm === 'other' ? 'another person to confirm on the console' : 'confirmation';
  const whom = rolling.gate === 'time' ? `confirmation, until ${until} if nothing fails` : person;
  return `for ${whom}: trigger-deploy confirm ${deployment} --env ${env}`;
}
