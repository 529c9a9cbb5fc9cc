import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { isWebhookAddress, type WebhookPlace } from '../config/webhook-place.ts';

/**
 * A Slack-compatible incoming webhook. Its address is a secret, for whoever has it can write there: nothing here
 * throws or returns a text that holds it, nor what its server answered.
 */

/** The pause before the one retry, where the server names none, ms. */
const PAUSE_MS = 300;

/** Why somebody could not be told, in words that may be shown. */
export class NotSent extends Error {}

/** @throws NotSent when there is none, or it is not an https address. */
export async function webhookAddress(
  place: WebhookPlace,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  if ('address' in place) return place.address;
  const [text, where] =
    'file' in place
      ? [await readFile(place.file, 'utf8').catch(notReadable(place.file)), place.file]
      : [variables[place.variable] ?? '', `the variable ${place.variable}`];
  const address = text.trim();
  if (address === '') throw new NotSent(`${where} is ${'file' in place ? 'empty' : 'not set'}`);
  if (!isWebhookAddress(address)) throw new NotSent(`what ${where} holds is not an https address`);
  return address;
}

const notReadable = (file: string) => (cause: NodeJS.ErrnoException) => {
  throw new NotSent(`${file} cannot be read (${cause.code ?? 'unknown'})`);
};

/**
 * POSTs `{text}`, and once more where that may help and `until` (performance.now()) leaves the time. Redirections are
 * not followed: the text would go to somebody else.
 * @throws NotSent.
 */
export async function postToWebhook(
  address: string,
  text: string,
  { until, signal }: { until: number; signal: AbortSignal },
): Promise<void> {
  const body = JSON.stringify({ text: escaped(text) });
  for (let last = false; ; last = true) {
    const { trouble, mayPass, pauseMs } = await attempt(address, body, signal);
    if (trouble === undefined) return;
    if (signal.aborted || last || !mayPass) throw new NotSent(trouble);
    if (performance.now() + pauseMs >= until) {
      throw new NotSent(`${trouble}, and no time is left to try again`);
    }
    await wait(pauseMs, undefined, { signal }).catch(() => {
      throw new NotSent(trouble);
    });
  }
}

interface Attempt {
  trouble?: string;
  mayPass: boolean;
  pauseMs: number;
}

async function attempt(address: string, body: string, signal: AbortSignal): Promise<Attempt> {
  try {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    const answer = await fetch(address, { method: 'POST', headers, body, redirect: 'manual', signal });
    await answer.body?.cancel();
    if (answer.ok) return { mayPass: false, pauseMs: 0 };
    const mayPass = answer.status === 429 || answer.status >= 500;
    return { trouble: `http ${answer.status}`, mayPass, pauseMs: pauseOf(answer) };
  } catch (error) {
    if (signal.aborted) return { trouble: 'no answer in time', mayPass: false, pauseMs: 0 };
    // Node's own message may hold the address.
    const code = (error as { cause?: { code?: unknown } }).cause?.code;
    const trouble = typeof code === 'string' ? code : 'no connection';
    return { trouble, mayPass: true, pauseMs: PAUSE_MS };
  }
}

/** Retry-After is seconds or a date (RFC 9110, 10.2.3). */
function pauseOf(answer: Response): number {
  const said = answer.headers.get('retry-after')?.trim();
  if (!said) return PAUSE_MS;
  const ms = /^\d{1,9}$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return Number.isNaN(ms) ? PAUSE_MS : Math.max(0, ms);
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping: so that no reason can call a whole channel. */
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
