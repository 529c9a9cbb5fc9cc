import { formatMs } from '../../../shared/duration.ts';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { HookRunner } from '../../deploy/ports.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';

/** Runs the hooks of the config: the operator's commands before the stop and after the start. */
export function createHookRunner(run: RunCommand = runCommand): HookRunner {
  return {
    async run(hook, environment, signal) {
      const name = hook.run[0];
      const fail = (what: string, detail?: string, cause?: unknown, hint?: string) =>
        new TriggerDeployError('HOOK_FAILED', `hook ${name} ${what}`, { detail, cause, hint });
      const result = await run(hook.run, {
        signal,
        timeout: hook.timeout,
        user: hook.user,
        env: { ...environment, ...hook.environment },
      }).catch((error: unknown) => {
        if (signal.aborted || !isCode(error, 'COMMAND_FAILED')) throw error;
        const hint = error.hint ?? 'check the path and the user of the hook in agent.yaml';
        throw fail(`did not run: ${messageOf(error)}`, undefined, error, hint);
      });
      if (result.timedOut) {
        const hint = `\`timeout\` of this hook in agent.yaml (${formatMs(hook.timeout)}) limits how long it may run`;
        throw fail(
          `was still running after ${formatMs(hook.timeout)} and was ended`,
          result.output,
          undefined,
          hint,
        );
      }
      if (result.exitCode === null) throw fail('was ended by a signal', result.output);
      if (result.exitCode !== 0) throw fail(`ended with exit code ${result.exitCode}`, result.output);
    },
  };
}
