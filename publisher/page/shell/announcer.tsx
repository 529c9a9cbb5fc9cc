import { signal } from '@preact/signals';

/** What a screen reader says of what changes by itself: at most every 5 s, the newest. */

const EVERY_MS = 5_000;
const said = signal('');
let next: string | undefined;
let isWaiting = false;
let saidAt = Number.NEGATIVE_INFINITY;

/** Has `text` said, unless something newer comes within 5 s. */
export function announce(text: string): void {
  next = text;
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(sayIt, Math.max(0, saidAt + EVERY_MS - performance.now()));
}

function sayIt(): void {
  isWaiting = false;
  saidAt = performance.now();
  if (next !== undefined && next !== said.peek()) said.value = next;
  next = undefined;
}

export function Announcer() {
  return (
    <p role="status" class="unseen">
      {said}
    </p>
  );
}
