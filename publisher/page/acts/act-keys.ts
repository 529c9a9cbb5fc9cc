import { copyShown } from './copy.tsx';

/** The keys that press the buttons of actions: those where the focus is, else the only one on the page. */

/** What belongs together: a row, a lane, something that waits. */
const PARTS = 'li, .lane, tr, .drive';

const press = (...acts: readonly string[]) => {
  const named = acts.map((act) => `[data-act=${act}]`).join(',');
  return () => {
    const near = document.activeElement?.closest(PARTS)?.querySelectorAll<HTMLElement>(named) ?? [];
    const [first, ...others] =
      near.length > 0 ? near : document.querySelectorAll<HTMLElement>(`main ${named}`);
    // Of several, a person has to say which: the focus goes to the first.
    if (others.length > 0 && near.length === 0) first?.focus();
    else first?.click();
  };
};

export const ACT_KEYS = [
  { key: 'd', text: 'deploy', run: press('deploy') },
  { key: 'r', text: 'roll back', run: press('rollback') },
  { key: 'p', text: 'pause or unpause', run: press('pause', 'unpause') },
  { key: 'c', text: 'confirm a deployment that waits', run: press('confirm') },
  { key: 'x', text: 'cancel a deployment', run: press('cancel') },
  { key: 'y', text: 'copy the command', run: copyShown },
];
