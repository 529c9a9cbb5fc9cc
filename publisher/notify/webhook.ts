import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { isWebhookAddress, type WebhookPlace } from '../config/webhook-place.ts';

/**
 * Posts to a Slack-compatible incoming webhook. Its address is a secret: no error of this file contains the address, or
 * a text from its server.
 */

/** The delay before the retry when the server sends no Retry-After, ms. */
const RETRY_DELAY_MS = 300;

/** Why a notice was not sent. The message contains no secret and can be shown. */
export class NotSent extends Error {}

/** Reads the address. @throws NotSent when it is missing, cannot be read, or is not an https address. */
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
  if (!isWebhookAddress(address)) throw new NotSent(`${where} does not hold an https address`);
  return address;
}

const notReadable = (file: string) => (cause: NodeJS.ErrnoException) => {
  throw new NotSent(`${file} cannot be read (${cause.code ?? 'unknown'})`);
};

/**
 * POSTs `{text}`. After HTTP 429, HTTP 5xx or a failed connection it retries once, if that is possible before `until`
 * (by `performance.now()`). Redirects are not followed: they would send the text to another host.
 * @throws NotSent.
 */
export async function postToWebhook(
  address: string,
  text: string,
  { until, signal }: { until: number; signal: AbortSignal },
): Promise<void> {
  const body = JSON.stringify({ text: escaped(text) });
  for (let last = false; ; last = true) {
    const { trouble, retryable, delayMs } = await attempt(address, body, signal);
    if (trouble === undefined) return;
    if (signal.aborted || last || !retryable) throw new NotSent(trouble);
    if (performance.now() + delayMs >= until) {
      throw new NotSent(`${trouble}; no time left to retry`);
    }
    await wait(delayMs, undefined, { signal }).catch(() => {
      throw new NotSent(trouble);
    });
  }
}

interface Attempt {
  trouble?: string;
  retryable: boolean;
  delayMs: number;
}

async function attempt(address: string, body: string, signal: AbortSignal): Promise<Attempt> {
  try {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    const answer = await fetch(address, { method: 'POST', headers, body, redirect: 'manual', signal });
    await answer.body?.cancel();
    if (answer.ok) return { retryable: false, delayMs: 0 };
    const retryable = answer.status === 429 || answer.status >= 500;
    return { trouble: `http ${answer.status}`, retryable, delayMs: retryDelayOf(answer) };
  } catch (error) {
    if (signal.aborted) return { trouble: 'timed out', retryable: false, delayMs: 0 };
    // Node's own message may hold the address: only its code is used.
    const code = (error as { cause?: { code?: unknown } }).cause?.code;
    const trouble = typeof code === 'string' ? code : 'no connection';
    return { trouble, retryable: true, delayMs: RETRY_DELAY_MS };
  }
}

/** The delay before the retry, ms. Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function retryDelayOf(answer: Response): number {
  const retryAfter = answer.headers.get('retry-after')?.trim();
  if (!retryAfter) return RETRY_DELAY_MS;
  const ms = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isNaN(ms) ? RETRY_DELAY_MS : Math.max(0, ms);
}

/**
 * Escapes the text, so that a reason cannot notify a whole channel.
 * https://docs.slack.dev/messaging/formatting-message-text#escaping
 */
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
