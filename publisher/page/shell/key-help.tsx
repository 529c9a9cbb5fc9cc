import { useMemo } from 'preact/hooks';
import { bound, useKeys } from './keys.ts';

const ID = 'keys';

/** Shows the keys of what is on the screen. */
export const showKeys = () => (document.getElementById(ID) as HTMLDialogElement | null)?.showModal();

export function KeyHelp() {
  useKeys(useMemo(() => [{ key: '?', text: 'show the keys', run: showKeys }], []));
  return (
    <dialog id={ID} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {bound.value
          .filter(({ isDialog }) => !isDialog)
          .flatMap(({ keys }) => keys)
          .map(({ key, text }) => (
            <div>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{text}</dd>
            </div>
          ))}
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
