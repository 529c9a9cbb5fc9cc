import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { ExitCode, PublisherEvent } from '../events.ts';
import { createJUnit } from '../render/junit.ts';
import { complain } from './standard-output.ts';

/** The file of `--junit`, while the command runs. */
export interface JUnitFile {
  event(event: PublisherEvent): void;
  /** Writes what happened; a failure is a warning and changes nothing else. */
  ended(how: { code: ExitCode } | { error: unknown }): void;
}

/**
 * `--junit FILE`: writes at once that the command has not ended, so that the file of an earlier build never counts for this one, even if
 * this one is killed; and at the end what happened, also when the process exits at a second Ctrl-C. A reader finds the
 * one document or the other, and never a part of one. A link stays, and what it names is replaced.
 * @throws USAGE when the file cannot be written: nothing was announced by then.
 */
export function openJUnitFile(file: string, about: { command: string; group: string }): JUnitFile {
  const junit = createJUnit(about);
  let place = file;
  const write = () => replaceFile(place, junit.xml(Date.now()));
  try {
    const there = statSync(file, { throwIfNoEntry: false });
    if (there?.isFile() === false) throw new Error('it is no file');
    if (there !== undefined) place = realpathSync(file);
    write();
  } catch (cause) {
    throw new TriggerDeployError('USAGE', `--junit: cannot write ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'name a file in a directory that exists and that this user can write to',
    });
  }
  const writeLast = () => {
    process.off('exit', writeLast);
    try {
      write();
    } catch (error) {
      complain([`warning: --junit: cannot write ${file}: ${messageOf(error)}`]);
    }
  };
  process.once('exit', writeLast);
  return {
    event: junit.event,
    ended(how) {
      junit.ended(how);
      writeLast();
    },
  };
}

/** Synchronous, because it runs while the process exits. In a directory of many users, nothing that lies there is written through. */
function replaceFile(file: string, text: string): void {
  const next = `${file}.${process.pid}.tmp`;
  try {
    rmSync(next, { force: true });
    writeFileSync(next, text, { flag: 'wx' });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}
