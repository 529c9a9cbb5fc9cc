import { expect, test } from 'vitest';
import { type KeyPress, keyOf } from '../../../../../publisher/page/shell/key-rules.ts';

const key = (name: string, text: string) => ({ key: name, text, run() {} });
const parts = [
  { keys: [key('x', 'older'), key('y', 'copy the command')], isDialog: false },
  { keys: [key('x', 'newer')], isDialog: false },
  { keys: [key('y', 'copy in the dialog')], isDialog: true },
];
const press = (more: Partial<KeyPress>): KeyPress => ({
  ...{ key: 'x', ctrlKey: false, metaKey: false, altKey: false },
  ...{ isComposing: false, isTyping: false, isInDialog: false },
  ...more,
});

test('the newest part that is shown has the key', () => {
  expect(keyOf(parts, press({}))?.text).toBe('newer');
});

test('while a dialog is open, only its own keys count', () => {
  expect(keyOf(parts, press({ isInDialog: true }))).toBeUndefined();
  expect(keyOf(parts, press({ isInDialog: true, key: 'y' }))?.text).toBe('copy in the dialog');
});

test.each(['isTyping', 'isComposing', 'ctrlKey', 'metaKey', 'altKey'] as const)('no key with %s', (name) => {
  expect(keyOf(parts, press({ [name]: true }))).toBeUndefined();
});
