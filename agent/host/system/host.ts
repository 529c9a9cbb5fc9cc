import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isCode } from '../../../shared/errors.ts';
import type { Host } from '../../deploy/ports.ts';
import { askSystemd, isUnanswered } from '../process/systemctl.ts';

/** Timeout of `systemctl is-system-running`, ms. It answers at once, even during a shutdown. */
const ANSWER_MS = 5000;

/**
 * Whether stdout is connected to journald. It is not enough that JOURNAL_STREAM is set: a child process with another
 * stdout inherits the variable too (systemd.exec(5)).
 */
export function isJournal(journalStream: string | undefined): boolean {
  try {
    const { dev, ino } = fstatSync(1);
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** This machine. Without systemd, a shutdown is not detected. */
export function createHost(): Host {
  return {
    /** A UUID that the kernel makes at each boot: random(4). */
    async bootId() {
      return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    },

    async stopping(signal) {
      try {
        // Every state but `running` has another exit code than 0.
        const { stdout } = await askSystemd(['systemctl', 'is-system-running'], {
          signal,
          timeout: ANSWER_MS,
          accept: (result) => !isUnanswered(result),
        });
        return stdout.trim() === 'stopping';
      } catch (error) {
        if (signal.aborted || !isCode(error, 'COMMAND_FAILED')) throw error;
        return false;
      }
    },
  };
}
