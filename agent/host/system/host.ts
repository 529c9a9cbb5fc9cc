import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isCode } from '../../../shared/errors.ts';
import type { Host } from '../../deploy/ports.ts';
import { runCommand } from '../process/run-command.ts';

/** Timeout, ms; systemctl is-system-running answers at once, even during a shutdown. */
const ANSWER_MS = 5000;

/**
 * Whether stdout is connected to the journal. JOURNAL_STREAM alone is not enough: it is inherited by programs with
 * another stdout (systemd.exec(5)).
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
