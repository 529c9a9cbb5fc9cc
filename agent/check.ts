import { asTriggerDeployError } from '../shared/errors.ts';

/** `trigger-deploy-agent check`: everything that would go wrong later, found now, each with what to do. */

export interface Finding {
  ok: boolean;
  /** What was looked at, and what is wrong with it if anything is. */
  what: string;
  hint?: string | undefined;
}

/** Does `probe` and turns what it throws into a finding: no probe keeps the others from being made. */
export async function look(
  what: string,
  probe: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await probe();
  } catch (thrown) {
    const error = asTriggerDeployError(thrown);
    return [{ ok: false, what: `${what}: ${error.message}`, hint: error.hint }];
  }
}

/** One line a finding, and a line with what to do below each that is wrong. */
export function formatFindings(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ ok, what, hint }) => [
    `${ok ? '✓' : '✗'} ${what}`,
    ...(ok || hint === undefined ? [] : [`  → ${hint}`]),
  ]);
  const wrong = findings.filter((finding) => !finding.ok).length;
  const summary = wrong === 0 ? 'ready to run' : `${wrong} to mend before this agent can deploy`;
  return [...lines, '', summary].join('\n');
}
