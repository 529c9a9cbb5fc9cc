import { signal } from '@preact/signals';
import type { ErrorView, RunAnswer } from '../../console/api.ts';
import { errorOf, RequestError, runCommand } from '../shell/request.ts';
import { runs } from '../shell/state.ts';

/** How a press goes. */
export type Press =
  | { state: 'idle' }
  | { state: 'busy' }
  /** It waits in the queue, or has not started yet: this console carries it out. */
  | { state: 'waiting'; run: string; place?: { place: number; of: number } | undefined }
  | { state: 'failed'; error: ErrorView; status: number }
  | { state: 'done'; deployment?: string | undefined; exitCode: number; lines: readonly string[] };

/**
 * What one opening of a dialog runs. One id is one run, however often it is sent: a second press of the button, or a try
 * after an answer that was lost, does not act twice. An attempt after the console refused gets a new id.
 */
export class Pressing {
  readonly press = signal<Press>({ state: 'idle' });
  #run = newRunId();

  async send(argv: readonly string[], confirmsEmpty = false): Promise<void> {
    const { state } = this.press.peek();
    if (state === 'busy' || state === 'waiting' || state === 'done') return;
    this.press.value = { state: 'busy' };
    try {
      this.#take(await runCommand(argv, this.#run, confirmsEmpty));
    } catch (error) {
      const status = error instanceof RequestError ? error.status : 0;
      // Without an answer it is not known whether it ran: the same id finds that run.
      if (status !== 0) this.#run = newRunId();
      this.press.value = { state: 'failed', error: errorOf(error), status };
    }
  }

  /** Forgets a failure: the person looks again. */
  reset(): void {
    if (this.press.peek().state === 'failed') this.press.value = { state: 'idle' };
  }

  /** Follows what the live stream says of the run while it waits. Reads `runs`. */
  follow(): void {
    const own = runs.value.find(({ run }) => run === this.#run);
    if (own === undefined || this.press.value.state !== 'waiting') return;
    if (own.error !== undefined) {
      this.#run = newRunId();
      this.press.value = { state: 'failed', error: own.error, status: 409 };
    } else this.#take({ run: own });
  }

  #take({ run, lines = [], exitCode }: RunAnswer): void {
    const ended = exitCode ?? run?.exitCode;
    if (run?.deployment !== undefined && (run.state === 'running' || ended !== undefined)) {
      this.press.value = { state: 'done', deployment: run.deployment, exitCode: ended ?? 0, lines };
    } else if (ended !== undefined) {
      this.press.value = { state: 'done', exitCode: ended, lines };
    } else {
      this.press.value = { state: 'waiting', run: this.#run, place: run?.place };
    }
  }
}

/** 128 random bits. `crypto.randomUUID` needs a secure context, which a plain address behind a proxy is not. */
export function newRunId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
