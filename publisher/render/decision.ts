import type { DecisionAnswer } from '../rollout/decisions.ts';
import { oneLine } from './text.ts';

/** `confirmed by jane@host; jenkins payments#4711 goes on with it`. */
export function decisionLines({ decision, by, deployment, text }: DecisionAnswer): string[] {
  const said = decision === 'confirm' ? 'confirmed' : 'cancelled';
  return [
    `${deployment.service} ${deployment.version} ${deployment.deployment} ${said} by ${oneLine(by)}; ${oneLine(text)}`,
  ];
}
