import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isCode } from '../../../shared/errors.ts';
import type { Host } from '../../deploy/ports.ts';
import { runCommand } from '../process/run-command.ts';

/** systemctl is-system-running answers at once, also while the machine goes down. */
const ANSWER_MS = 5000;

/**
 * Whether stdout is what systemd connected to the journal: JOURNAL_STREAM names it, and is inherited by programs
 * whose stdout is something else (systemd.exec(5)).
 */
export function isJournal(journalStream: string | undefined): boolean {
  try {
    const { dev, ino } = fstatSync(1);
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** This machine. Where there is no systemd to ask, it is never known to be stopping. */
export function createHost(): Host {
  return {
    /** random(4): a UUID made at each boot. */
    async bootId() {
      return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    },

    async stopping(signal) {
      try {
        const { stdout } = await runCommand(['systemctl', 'is-system-running'], {
          signal,
          timeout: ANSWER_MS,
        });
        return stdout.trim() === 'stopping';
      } catch (error) {
        if (signal.aborted || !isCode(error, 'COMMAND_FAILED')) throw error;
        return false;
      }
    },
  };
}
