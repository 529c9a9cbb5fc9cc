import { visible, visibleLine } from './visible-text.ts';

/**
 * Text that anyone may have written: reasons, notes, names, log tails. It is shown as it is, as text, and never becomes
 * a link, a button or markup.
 */

/** A text on one line, apart from the direction of what is around it; cut after `most` characters. */
export function Foreign({ text, most }: { text: string; most?: number }) {
  return <bdi>{visibleLine(text, most)}</bdi>;
}

/** A text of several lines: the end of a log. */
export function ForeignBlock({ text, label }: { text: string; label: string }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and only its focus makes the arrow keys scroll it
    <section class="log" aria-label={label} tabIndex={0}>
      <pre>
        {text.split('\n').map((line) => (
          <bdi class="log-line">{visible(line) || ' '}</bdi>
        ))}
      </pre>
    </section>
  );
}
