import { writeFileSync } from 'node:fs';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { PublisherEvent } from '../events.ts';
import { complain } from './standard-output.ts';

/**
 * `--id-file FILE`: the id of the deployment that a command starts, for the next command of a script. Empties the
 * file first: an empty file means that this command started nothing. The returned listener writes the id before anything
 * is announced, and only the first: a rollback that follows is not what was ordered.
 * @throws USAGE when the file cannot be written.
 */
export function openIdFile(file: string): (event: PublisherEvent) => void {
  try {
    writeFileSync(file, '');
  } catch (cause) {
    throw new TriggerDeployError('USAGE', `--id-file: cannot write ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'name a file in a directory that exists and that this user can write to',
    });
  }
  let isWritten = false;
  return (event) => {
    if (event.type !== 'started' || isWritten) return;
    isWritten = true;
    try {
      writeFileSync(file, `${event.deployment}\n`);
    } catch (error) {
      complain([`warning: cannot write ${file}: ${messageOf(error)}; the id is ${event.deployment}`]);
    }
  };
}
