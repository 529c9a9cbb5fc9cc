import { useEffect, useState } from 'preact/hooks';
import { shellLine } from '../../../shared/shell-line.ts';
import { visible } from '../parts/visible-text.ts';
import { announce } from '../shell/announcer.tsx';

/** A command as a person types it, and a button that copies it. */
export function CommandLine({ argv, id }: { argv: readonly string[]; id?: string }) {
  const words = ['trigger-deploy', ...argv];
  const line = shellLine(words);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <p class="command">
      <code id={id}>
        <bdi>
          {words.map((word, i) => [
            i === 0 ? '' : ' ',
            // The line breaks between words: a hyphen is part of an option.
            <span class="word" key={`${i}`}>
              {visible(shellLine([word]))}
            </span>,
          ])}
        </bdi>
      </code>{' '}
      <button
        type="button"
        class="quiet"
        data-copy
        onClick={() => {
          void copy(line).then((done) => {
            setCopied(done);
            announce(done ? 'copied' : 'this browser does not let the page copy: select the text');
          });
        }}
      >
        {copied ? 'copied' : 'copy'}{' '}
        <span class="key" aria-hidden="true">
          y
        </span>
      </button>
    </p>
  );
}

/** Presses the copy button of what is on top: a dialog, else the screen. */
export function copyShown(): void {
  const top = document.querySelector('dialog[open]') ?? document;
  top.querySelector<HTMLButtonElement>('button[data-copy]')?.click();
}

/** Whether it was copied: a page without a secure context has no clipboard. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
