/** Text that anyone may have written, with everything in it that can be seen. Pure. */

/**
 * What is not seen, or changes how the text around it is read: control characters, bidirectional controls, characters
 * without a width, letters and marks that show nothing, tags, halves of a surrogate pair. Newline and tab are left.
 * Source: Unicode Standard Annex #9, "Unicode Bidirectional Algorithm"; Unicode Technical Report #36.
 */
const UNSEEN =
  /\u034f|\u17b4|\u17b5|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}\p{Cs}]/gu;

const nameOf = (character: string) =>
  `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;

/** Marks are painted over each other and over the lines around; no script has more than four on a letter. */
const STACKED = /(\p{M}{4})(\p{M}+)/gu;
const countOf = (_: string, kept: string, more: string) => `${kept}⟨${Array.from(more).length} more marks⟩`;

/** `text` with a name in place of each character that is not seen: `⟨U+202E⟩`. */
export const visible = (text: string) => text.replace(UNSEEN, nameOf).replace(STACKED, countOf);

/** The most characters of a text on one line: a name or a reason has fewer. */
const MOST = 500;

/** `text` on one line, visible, with `most` characters at most. */
export function visibleLine(text: string, most = MOST): string {
  const line = text.replace(/[\s\u2028\u2029]+/g, ' ').trim();
  // By characters, not by halves of them.
  const kept =
    line.length <= most
      ? line
      : `${Array.from(line.slice(0, 2 * most))
          .slice(0, most - 1)
          .join('')}…`;
  return visible(kept);
}
