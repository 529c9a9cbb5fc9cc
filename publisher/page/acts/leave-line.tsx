import { useState } from 'preact/hooks';
import type { ErrorView } from '../../console/api.ts';
import { ErrorBox } from '../parts/parts.tsx';
import { announce } from '../shell/announcer.tsx';
import { errorOf, leaveLine } from '../shell/request.ts';

/** Ends the wait of a command in the line: nothing was announced, and its place is free at once. */
export function LeaveLine({ run, by }: { run: string; by: string }) {
  const [state, setState] = useState<'busy' | 'left' | ErrorView>();
  const leave = async () => {
    if (state === 'busy') return;
    setState('busy');
    try {
      await leaveLine(run, by);
      setState('left');
      announce('out of the line; nothing was announced');
    } catch (failure) {
      setState(errorOf(failure));
    }
  };
  return (
    <>
      <button type="button" aria-disabled={state === 'busy'} onClick={() => void leave()}>
        {state === 'busy' ? 'Leaving …' : 'Leave the line'}
      </button>
      {typeof state === 'object' && <ErrorBox error={state} />}
    </>
  );
}
