/** Which key of one letter a press is. Pure. */

export interface Key {
  key: string;
  /** What it does, for the list of keys. */
  text: string;
  run(): void;
}

/** The keys of a part of the page. */
export interface KeyPart {
  keys: readonly Key[];
  /** Whether the part is a dialog: while one is open, only its keys count. */
  isDialog: boolean;
}

export interface KeyPress
  extends Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'isComposing'> {
  /** Whether the focus is in a field, where a letter is text. */
  isTyping: boolean;
  isInDialog: boolean;
}

/** The key that the press is; undefined where it is none. The newest part, the last one, comes first. */
export function keyOf(parts: readonly KeyPart[], press: KeyPress): Key | undefined {
  if (press.isTyping || press.isComposing || press.ctrlKey || press.metaKey || press.altKey) return undefined;
  return parts
    .filter(({ isDialog }) => isDialog === press.isInDialog)
    .toReversed()
    .flatMap(({ keys }) => keys)
    .find(({ key }) => key === press.key);
}
