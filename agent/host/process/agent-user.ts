import { execa } from 'execa';
import { isCode, TriggerDeployError } from '../../../shared/errors.ts';
import { runningAs } from './run-as.ts';
import { askSystemd } from './systemctl.ts';

/** The user as whom systemd runs the agent. */

export const AGENT_UNIT = 'trigger-deploy-agent.service';

/** The name in `User=` of the agent's unit. Undefined if it runs as root, or if systemd has no such unit. */
export async function userOfAgent(signal: AbortSignal): Promise<string | undefined> {
  const argv = ['systemctl', 'show', AGENT_UNIT, '--property=User', '--value'];
  const answer = await askSystemd(argv, { signal }).catch((error: unknown) => {
    if (isCode(error, 'COMMAND_FAILED')) return undefined;
    throw error;
  });
  const user = answer?.exitCode === 0 ? answer.stdout.trim() : '';
  return user === '' || user === 'root' || user === '0' ? undefined : user;
}

/**
 * Runs `argv` as `user`, with the input and output of this process; returns its exit code.
 * @throws COMMAND_FAILED if there is no such user.
 */
export async function runAs(user: string, argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { prefix, environment } = await runningAs(user, signal).catch((error: unknown) => {
    if (!isCode(error, 'COMMAND_FAILED')) throw error;
    throw new TriggerDeployError('COMMAND_FAILED', `${AGENT_UNIT}: ${error.message}`, {
      cause: error,
      hint: `create the user, or correct User= in the unit: systemctl edit ${AGENT_UNIT}`,
    });
  });
  const [program = '', ...words] = [...prefix, ...argv];
  const { exitCode } = await execa(program, words, { stdio: 'inherit', reject: false, env: environment });
  return exitCode ?? 1;
}
