const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** The words as a person types them in a POSIX shell, with quotes where they are needed. Pure. */
export function shellLine(words: readonly string[]): string {
  return words.map(quoted).join(' ');
}

/** `--reason=quarter end` as `--reason='quarter end'`: the name of the option stays readable. */
function quoted(word: string): string {
  if (PLAIN.test(word)) return word;
  const [, option = '', value = ''] = /^(--[a-z-]+=)?(.*)$/s.exec(word) ?? [];
  return `${option}'${value.replaceAll("'", "'\\''")}'`;
}
