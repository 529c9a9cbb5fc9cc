/**
 * A glyph of the terminal. Two of them are drawn: without a font that has them, a browser shows an empty box or a
 * coloured picture.
 */
export function Glyph({ of }: { of: string }) {
  const path = DRAWN[of];
  if (path === undefined) {
    return (
      <span class="glyph" aria-hidden="true">
        {of}
      </span>
    );
  }
  return (
    <svg class="glyph" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      <path d={path} />
    </svg>
  );
}

const DRAWN: Readonly<Record<string, string>> = {
  '⏸': 'M2.5 1.5h2.6v9H2.5zM6.9 1.5h2.6v9H6.9z',
  '⏳': 'M2 .8h8v1.3H9.4c0 2-1 3-2.3 3.9 1.3.9 2.3 1.9 2.3 3.9H10v1.3H2V9.9h.6c0-2 1-3 2.3-3.9C3.600 5.100 2.600 4.100 2.600 2.100H2z',
};
