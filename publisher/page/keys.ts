import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** The keys of one letter. They can be switched off (WCAG 2.1.4, "Character Key Shortcuts"). */

export interface Key {
  key: string;
  /** What it does, for the list of keys. */
  text: string;
  run(): void;
}

const STORED = 'trigger-deploy keys';

export const areKeysOn = signal(localStorage.getItem(STORED) !== 'off');
/** The keys of what is shown, the newest part last. */
export const bound = signal<readonly (readonly Key[])[]>([]);

export function switchKeys(on: boolean): void {
  areKeysOn.value = on;
  localStorage.setItem(STORED, on ? 'on' : 'off');
}

/** Binds keys while the component is shown. `keys` must be the same array at each call. */
export function useKeys(keys: readonly Key[]): void {
  useEffect(() => {
    bound.value = [...bound.peek(), keys];
    return () => {
      bound.value = bound.peek().filter((one) => one !== keys);
    };
  }, [keys]);
}

/** Listens for the keys. Call once. */
export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (!areKeysOn.peek() || event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target as Element | null;
    if (at?.closest?.('input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]')) return;
    const inDialog = document.querySelector('dialog[open]') !== null;
    const parts = inDialog ? bound.peek().slice(-1) : bound.peek().toReversed();
    const found = parts.flat().find(({ key }) => key === event.key);
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}
