import { DETAIL_LIMIT } from '../../../shared/clean-text.ts';
import type { Clock } from '../../../shared/clock.ts';
import { isCode } from '../../../shared/errors.ts';
import { runCommand } from '../process/run-command.ts';

/** The journal of a unit. */

/** Timeout of one journalctl call; normally it answers in milliseconds. */
const LOG_TIMEOUT_MS = 15_000;

/** `since` in ms since the epoch, by the clock of this machine, as the journal has it. */
export const logArgv = (unit: string, since: number) => [
  ...['journalctl', '-u', unit, '--since', `@${Math.floor(since / 1000)}`],
  ...['-n', '200', '-o', 'cat', '--no-pager', '-q'],
];

/**
 * The end of what the unit logged since `since`, ms since the epoch by `clock`, which is AWS's: the clock of this machine
 * may differ from it by hours. Empty where there is no journal.
 */
export async function readUnitLog(
  unit: string,
  since: number,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<string> {
  const here = Date.now() - (clock.now() - since);
  try {
    const { stdout } = await runCommand(logArgv(unit, here), { signal, timeout: LOG_TIMEOUT_MS });
    return stdout.slice(-DETAIL_LIMIT);
  } catch (error) {
    signal.throwIfAborted();
    if (isCode(error, 'COMMAND_FAILED')) return '';
    throw error;
  }
}
