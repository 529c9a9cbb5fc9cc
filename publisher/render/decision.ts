import type { DecisionAnswer } from '../rollout/decisions.ts';
import { oneLine } from './text.ts';

/** `payments 1.4.2 01JDB… confirmed by ann@desk; jenkins payments#4711 continues it`. */
export function decisionLines({ decision, by, deployment, text, result }: DecisionAnswer): string[] {
  const isDone = decision === 'confirm' || result === 'cancelled' || result === undefined;
  const verb = decision === 'confirm' ? 'confirmed' : isDone ? 'cancelled' : 'cancel requested';
  return [
    `${deployment.service} ${deployment.version} ${deployment.deployment} ${verb} by ${oneLine(by)}; ${oneLine(text)}`,
  ];
}
