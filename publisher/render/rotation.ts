import type { KeyHolder, RotationAnswer } from '../commands/rotate-key.ts';
import { oneLine } from './text.ts';

/** How far a rotation of the signing key is, and the next step. Pure. */

/** How many instances and documents are listed. */
const LISTED = 20;

export function rotationLines(answer: RotationAnswer): string[] {
  const { env, kid, check, instances, ready, signed, current, left, troubles } = answer;
  const trusting = instances.filter(({ trusts }) => trusts === true).length;
  const others = instances.filter(({ trusts }) => trusts !== true).map(holderText);
  const documents = [
    ...(check || !ready ? [] : [`${signed} documents signed again`]),
    ...(ready || check ? [`${current} signed by this key already`] : ['nothing was signed']),
    ...(check ? [`${left.length} signed by another key`] : []),
  ];
  return [
    `signing key of ${env}: kid ${kid}`,
    `instances: ${trusting} of ${instances.length} trust it`,
    ...some(others),
    `documents in force: ${documents.join(', ')}`,
    ...some(left.map((one) => `${one.key} (kid ${one.kid})`)),
    ...some(troubles.map(({ what, hint }) => `not signed: ${what}${hint ? `; → ${hint}` : ''}`)),
    `next: ${nextStep(answer)}`,
  ];
}

function holderText({ instance, trusts, answered }: KeyHolder): string {
  const said = trusts === undefined ? 'does not say which keys it trusts' : 'does not trust it';
  return `${instance} ${said}${answered ? '' : ' (by its last record; it does not answer)'}`;
}

function nextStep({ env, check, ahead, ready, left, troubles }: RotationAnswer): string {
  if (!ready)
    return 'add the public key to trust.keys of agent.yaml on these instances, beside the former one, and restart their agents';
  if (ahead)
    return 'set signingKey to this key on every machine that publishes, and name the public key of the former one in trust; then trigger-deploy keygen --rotate';
  if (troubles.length > 0) return 'mend what is named, then run this again';
  if (check && left.length > 0) return `trigger-deploy keygen --rotate --env ${env} signs them again`;
  return 'nothing in force needs another key: remove the former one from the instances, an hour after it last signed';
}

function some(lines: readonly string[]): string[] {
  const shown = lines.slice(0, LISTED).map((line) => `  ${oneLine(line)}`);
  return lines.length > LISTED ? [...shown, `  and ${lines.length - LISTED} more`] : shown;
}
