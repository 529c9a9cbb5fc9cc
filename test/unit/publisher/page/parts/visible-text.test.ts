import { expect, test } from 'vitest';
import { visible, visibleLine } from '../../../../../publisher/page/parts/visible-text.ts';

test.each([
  ['another direction', 'a\u202Eb\u202C', 'a⟨U+202E⟩b⟨U+202C⟩'],
  ['isolates and marks', '\u2066a\u2069\u200f\u061c', '⟨U+2066⟩a⟨U+2069⟩⟨U+200F⟩⟨U+061C⟩'],
  ['terminal codes', '\u001b[2J\u0007\u0000\u009b', '⟨U+001B⟩[2J⟨U+0007⟩⟨U+0000⟩⟨U+009B⟩'],
  ['characters without a width', 'a\u200bb\ufeff\u00ad', 'a⟨U+200B⟩b⟨U+FEFF⟩⟨U+00AD⟩'],
  ['letters that show nothing', '\u3164\u2800', '⟨U+3164⟩⟨U+2800⟩'],
  ['a stack of marks', `a${'\u0301'.repeat(20)}b`, `a${'\u0301'.repeat(4)}⟨16 more marks⟩b`],
  ['tags', 'a\u{e0061}', 'a⟨U+E0061⟩'],
  ['half a character', 'a\ud83db', 'a⟨U+D83D⟩b'],
])('%s is named', (_, text, shown) => {
  expect(visible(text)).toBe(shown);
});

test('letters of every script, emoji, newline and tab stay as they are', () => {
  const text = 'Größe שלום 日本 👩‍🚀\n\tend';
  expect(visible(text)).toBe(text);
});

test('a line has no newline and is cut by whole characters', () => {
  expect(visibleLine(' a\n\t b ')).toBe('a b');
  expect(visibleLine('😀'.repeat(600), 3)).toBe('😀😀…');
  expect(visibleLine('x'.repeat(16_384)).length).toBe(500);
});
