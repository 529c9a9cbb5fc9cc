import { cleanLine } from '../../shared/clean-text.ts';
import { openOutput } from '../../shared/output.ts';
import type { ExitCode, OutputFormat } from '../events.ts';

/** What the program prints, and whether it was written. */

const { stdout, stderr } = process;

// The wrapper script names the streams that are closed, for Node puts /dev/null in their place.
const closed = process.env.TRIGGER_DEPLOY_CLOSED?.split(' ') ?? [];
const output = openOutput(stdout, closed.includes('1'));
const errors = openOutput(stderr, closed.includes('2'));

export const joined = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
export const print = (text: string) => output.write(text);
export const complain = (lines: readonly string[]) => errors.write(joined(lines));

/**
 * To be called at the end, with the exit code. When stdout could not be written, says so on stderr, except where its
 * reader closed it (`| head`). With `isAnswer` stdout was the purpose of the command, and its exit code is not 0.
 */
export async function finishOutput(code: ExitCode, isAnswer: boolean): Promise<ExitCode> {
  const lost = await output.flush();
  if (lost !== undefined && lost.code !== 'EPIPE') {
    complain([`trigger-deploy: the output could not be written: ${cleanLine(lost.message)}`]);
  }
  await errors.flush();
  return lost !== undefined && isAnswer && code === 0 ? 1 : code;
}
export const defaultFormat = (): OutputFormat => (stdout.isTTY ? 'table' : 'lines');
export const helpColumns = () => (stdout.isTTY ? stdout.columns : 100);
