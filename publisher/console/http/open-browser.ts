import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How long the file is kept for the browser, ms. */
const KEPT_MS = 60_000;

/**
 * Opens the browser at `address`, which holds a key: by a file that only this user can read, because everybody can read
 * the arguments of a program. Returns what removes the file, which happens after a minute at the latest. `onFailure`
 * hears why no browser was opened.
 */
export async function openBrowser(
  address: string,
  onFailure: (text: string) => void,
): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'trigger-deploy-console-'));
  const file = join(directory, 'open.html');
  const text = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=${address}">\n`;
  await writeFile(file, text, { mode: 0o600 });
  const remove = async () => {
    clearTimeout(timer);
    await rm(directory, { recursive: true, force: true });
  };
  const timer = setTimeout(() => void remove(), KEPT_MS);
  timer.unref();
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const child = spawn(program, [file], { stdio: 'ignore', detached: true });
  child.once('error', (error: NodeJS.ErrnoException) =>
    onFailure(`${program}: ${error.code ?? error.message}`),
  );
  child.once('exit', (code) => {
    if (code !== 0 && code !== null) onFailure(`${program} ended with ${code}`);
  });
  child.unref();
  return remove;
}
