import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type Key, type KeyPart, keyOf } from './key-rules.ts';

/** The keys of one letter. They can be switched off (WCAG 2.1.4, "Character Key Shortcuts"). */

const STORED = 'trigger-deploy keys';

export const areKeysOn = signal(localStorage.getItem(STORED) !== 'off');
/** The keys of what is shown, the newest part last. */
export const bound = signal<readonly KeyPart[]>([]);

export function switchKeys(on: boolean): void {
  areKeysOn.value = on;
  localStorage.setItem(STORED, on ? 'on' : 'off');
}

/** Binds keys while the component is shown. `keys` must be the same array at each call. */
export function useKeys(keys: readonly Key[], { isDialog = false } = {}): void {
  useEffect(() => {
    const part = { keys, isDialog };
    bound.value = [...bound.peek(), part];
    return () => {
      bound.value = bound.peek().filter((one) => one !== part);
    };
  }, [keys, isDialog]);
}

const FIELDS = 'input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]';

/** Listens for the keys. Call once. */
export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (!areKeysOn.peek() || event.defaultPrevented) return;
    const { key, ctrlKey, metaKey, altKey, isComposing } = event;
    const isTyping = (event.target as Element | null)?.closest?.(FIELDS) != null;
    const isInDialog = document.querySelector('dialog[open]') !== null;
    const press = { key, ctrlKey, metaKey, altKey, isComposing, isTyping, isInDialog };
    const found = keyOf(bound.peek(), press);
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}
