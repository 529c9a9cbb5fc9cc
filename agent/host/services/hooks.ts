import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { formatMs } from '../../../shared/retry.ts';
import type { HookRunner } from '../../deploy/ports.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';

/** Runs the hooks of the config: the operator's commands before the stop and after the start. */
export function createHookRunner(run: RunCommand = runCommand): HookRunner {
  return {
    async run(hook, environment, signal) {
      const name = hook.run[0];
      const fail = (what: string, detail?: string, cause?: unknown) =>
        new TriggerDeployError('HOOK_FAILED', `hook ${name} ${what}`, { detail, cause });
      const result = await run(hook.run, {
        signal,
        timeout: hook.timeout,
        user: hook.user,
        env: { ...environment, ...hook.environment },
      }).catch((error: unknown) => {
        if (signal.aborted || !isCode(error, 'COMMAND_FAILED')) throw error;
        throw fail(`did not run: ${messageOf(error)}`, undefined, error);
      });
      if (result.timedOut) {
        throw fail(`was still running after ${formatMs(hook.timeout)} and was ended`, result.output);
      }
      if (result.exitCode === null) throw fail('was ended by a signal', result.output);
      if (result.exitCode !== 0) throw fail(`ended with exit code ${result.exitCode}`, result.output);
    },
  };
}
