/**
 * Text that anyone may have written: reasons, notes, names, log tails. It is shown as it is, as text, and never becomes
 * a link, a button or markup.
 */

/**
 * What is not seen, or changes how the text around it is read: control characters, bidirectional controls, characters
 * without a width, tags, halves of a surrogate pair. Newline and tab are left.
 * Source: Unicode Standard Annex #9, "Unicode Bidirectional Algorithm"; Unicode Technical Report #36.
 */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

const nameOf = (character: string) =>
  `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;

/** `text` with a name in place of each character that is not seen: `⟨U+202E⟩`. For attributes; else use `Foreign`. */
export const visible = (text: string) => text.replace(UNSEEN, nameOf);

/** A text on one line, apart from the direction of what is around it. */
export function Foreign({ text }: { text: string }) {
  return <bdi>{visible(text.replace(/\s+/g, ' '))}</bdi>;
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
