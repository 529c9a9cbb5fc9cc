import { useState } from 'preact/hooks';
import { shellLine } from '../../../shared/shell-line.ts';
import type { ErrorView } from '../../console/api.ts';
import { ForeignBlock } from '../parts/foreign.tsx';
import { ErrorBox } from '../parts/parts.tsx';
import { visible } from '../parts/visible-text.ts';
import { errorOf, runCommand } from '../shell/request.ts';
import { config } from '../shell/state.ts';
import type { ActForm } from './act-form.ts';
import { newRunId, type Press } from './act-run.ts';
import { LeaveLine } from './leave-line.tsx';

/** What became of the press: the place in the queue, the answer, or the error and what to do about it. */
export function PressResult({ press, lookAgain, form }: { press: Press; lookAgain(): void; form: ActForm }) {
  switch (press.state) {
    case 'waiting':
      return (
        <div>
          <p role="status">
            {press.place === undefined
              ? 'Starting …'
              : `In the queue: place ${press.place.place} of ${press.place.of}.`}{' '}
            This console goes on with it, even if you close this dialog.
          </p>
          {press.place !== undefined && <LeaveLine run={press.run} by={config.value?.person.name ?? ''} />}
        </div>
      );
    case 'failed':
      return (
        <div>
          <ErrorBox error={press.error} />
          <p class="buttons">
            <HintCommand error={press.error} key={form.act} />
            {press.status === 409 && (
              <button type="button" onClick={lookAgain}>
                Look again
              </button>
            )}
          </p>
        </div>
      );
    case 'done':
      return press.exitCode === 0 ? null : (
        <div role="alert">
          <ForeignBlock text={press.lines.join('\n')} label="The answer" />
        </div>
      );
    default:
      return null;
  }
}

/** The command that the hint names, as a button that shows it in full. The server names it, never a text of an agent. */
function HintCommand({ error }: { error: ErrorView }) {
  const [answer, setAnswer] = useState<readonly string[] | ErrorView | 'busy'>();
  const { command } = error;
  if (command === undefined) return null;
  const run = async () => {
    if (answer === 'busy') return;
    setAnswer('busy');
    try {
      const { lines = [], exitCode } = await runCommand(command, newRunId());
      // Without an exit code it has only begun.
      setAnswer(lines.length > 0 ? lines : [exitCode === undefined ? 'begun: it goes on' : 'done']);
    } catch (failure) {
      setAnswer(errorOf(failure));
    }
  };
  return (
    <>
      <button type="button" disabled={answer === 'busy'} onClick={() => void run()}>
        Run <code>{visible(shellLine(['trigger-deploy', ...command]))}</code>
      </button>
      {Array.isArray(answer) && <ForeignBlock text={answer.join('\n')} label="The answer" />}
      {typeof answer === 'object' && 'code' in answer && <ErrorBox error={answer} />}
    </>
  );
}
