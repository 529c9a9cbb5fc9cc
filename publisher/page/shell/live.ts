import { batch, computed, effect, signal } from '@preact/signals';
import { createParser } from 'eventsource-parser';
import type { LiveMessage } from '../../console/api.ts';
import type { Place } from '../../render/address.ts';
import { formOf } from '../acts/act-form.ts';
import { joinEvents } from '../deployment/deployment-state.ts';
import { send, statedIn } from './request.ts';
import { place, query } from './router.ts';
import { refused } from './session.ts';
import { apply, applyAside, forget, liveness, serverNow, service, trouble } from './state.ts';

/**
 * The stream of what the page shows. It is read by fetch, not by EventSource: that can send no Authorization, cannot see
 * an expired login, and keeps its connection while the tab is hidden. A browser has six connections to a host over
 * HTTP/1.1, so a seventh tab would never load. A new stream begins with a snapshot: nothing is replayed.
 */

/** The server says something at least every 15 s; after this time without a word the stream counts as broken, ms. */
const SILENT_MS = 40_000;
/** The page is painted at most so often by what arrives, ms. */
const PAINT_MS = 100;
/** The pauses between tries, ms. */
const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** The longest message, characters: a snapshot of 200 services in 20 environments has 4 M. */
const MOST_TEXT = 32 * 1024 * 1024;

/** What the stream is about; undefined where the page needs none. */
function subjectOf(at: Place | undefined): string | undefined {
  switch (at?.page) {
    case 'overview':
      return '/api/live?about=overview';
    case 'service':
      return ofService(at.service);
    case 'deployment': {
      const { env, service, deployment } = at;
      return `/api/live?${new URLSearchParams({ about: 'deployment', env, service, deployment })}`;
    }
    default:
      return undefined;
  }
}

const ofService = (name: string) => `/api/live?${new URLSearchParams({ about: 'service', service: name })}`;

/**
 * The service of the dialog that is open. What a page shows of it may be a minute old, and the overview does not know all
 * that a dialog says; a stream that begins is fresh. Of a decision, the page of its deployment knows more.
 */
const asideOf = computed(() => {
  const form = formOf(query.value);
  if (form === undefined || 'wrong' in form) return undefined;
  const at = place.value;
  const isDecision = form.deployment !== undefined && at?.page === 'deployment';
  return isDecision && at.deployment === form.deployment ? undefined : form.service;
});

/** Counts up when the stream has to be opened anew. */
const attempts = signal(0);
const isHidden = signal(document.hidden);
/** When the server said something last, by this machine's clock, ms. */
let heardAt = 0;

/** Follows the address: one stream for what it shows, none while the tab is hidden. Call once. */
export function keepLive(): void {
  document.addEventListener('visibilitychange', () => {
    isHidden.value = document.hidden;
  });
  // A laptop that was closed: its timers and its connection stood still.
  const wake = () => {
    if (liveness.peek().kind !== 'live' || Date.now() - heardAt > SILENT_MS) attempts.value += 1;
  };
  for (const name of ['online', 'pageshow', 'focus']) addEventListener(name, wake);
  let shown: string | undefined;
  effect(() => {
    const subject = subjectOf(place.value);
    attempts.value;
    if (subject !== shown) {
      shown = subject;
      forget();
      liveness.value = { kind: 'connecting' };
    }
    if (subject === undefined || isHidden.value || refused.value !== undefined) return;
    const ending = new AbortController();
    void follow(subject, ending.signal);
    return () => ending.abort();
  });
  effect(() => {
    const name = asideOf.value;
    attempts.value;
    if (name === undefined || isHidden.value || refused.value !== undefined) return;
    const ending = new AbortController();
    void followAside(ofService(name), ending.signal);
    return () => {
      ending.abort();
      if (shown !== ofService(name)) service.value = undefined;
    };
  });
}

/** Reads streams about `subject` until `signal` aborts. */
async function follow(subject: string, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    const hasHeard = await readStream(subject, signal, takeAll).catch(() => false);
    if (signal.aborted) return;
    // A stream that ends after it said something is opened anew at once: behind a proxy each ends after 15 minutes.
    if (hasHeard) failures = 0;
    else if (liveness.peek().kind !== 'stale')
      liveness.value = { kind: 'stale', since: heardAt || Date.now() };
    await pause(failures === 0 ? FIRST_MS : Math.min(LONGEST_MS, FIRST_MS * 2 ** failures), signal);
  }
}

/** The same for a dialog: the page below says whether the server is there. */
async function followAside(subject: string, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    const hasHeard = await readStream(subject, signal, applyAside).catch(() => false);
    if (hasHeard) failures = 0;
    await pause(Math.min(LONGEST_MS, FIRST_MS * 2 ** failures), signal);
  }
}

function takeAll(message: LiveMessage): void {
  apply(message);
  heardAt = Date.now();
  if (isNews(message) && liveness.peek().kind !== 'live') liveness.value = { kind: 'live' };
}

/** Whether the stream said something before it ended. @throws what fetch throws. */
async function readStream(
  subject: string,
  outer: AbortSignal,
  take: (message: LiveMessage) => void,
): Promise<boolean> {
  const broken = new AbortController();
  const signal = AbortSignal.any([outer, broken.signal]);
  const waiting = new Inbox(signal, take);
  let watchdog = setTimeout(() => broken.abort(), SILENT_MS);
  let hasHeard = false;
  try {
    const response = await send(subject, { signal }).catch(() => undefined);
    if (signal.aborted) return false;
    if (response?.body == null || !response.ok) {
      const error = response && (await statedIn(response));
      if (error !== undefined) waiting.take({ type: 'trouble', at: serverNow(), error });
      // What the console said of the record is over when it says nothing at all.
      else trouble.value = undefined;
      return false;
    }
    const parser = createParser({
      maxBufferSize: MOST_TEXT,
      onEvent: ({ data }) => {
        const message = JSON.parse(data) as LiveMessage;
        hasHeard ||= isNews(message);
        waiting.take(message);
      },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => broken.abort(), SILENT_MS);
      parser.feed(next.value);
    }
    return hasHeard;
  } catch (error) {
    // It broke off: the next try says whether that lasts.
    if (hasHeard && !broken.signal.aborted) return true;
    throw error;
  } finally {
    clearTimeout(watchdog);
    waiting.empty();
  }
}

/** Whether the message says that the server knows what it shows. */
const isNews = ({ type }: LiveMessage) => type !== 'trouble' && type !== 'runs';

/** Holds messages back, so that they are applied together, at most ten times a second. */
class Inbox {
  #messages: LiveMessage[] = [];
  #timer: number | undefined;
  #emptiedAt = 0;
  readonly #signal: AbortSignal;
  readonly #take: (message: LiveMessage) => void;

  constructor(signal: AbortSignal, take: (message: LiveMessage) => void) {
    this.#signal = signal;
    this.#take = take;
  }

  take(message: LiveMessage): void {
    this.#messages.push(message);
    const wait = Math.max(0, this.#emptiedAt + PAINT_MS - performance.now());
    this.#timer ??= window.setTimeout(() => this.empty(), wait);
  }

  empty(): void {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#emptiedAt = performance.now();
    const messages = this.#messages;
    this.#messages = [];
    // Of what is no longer shown, nothing is shown.
    if (messages.length === 0 || this.#signal.aborted) return;
    batch(() => {
      for (const message of joinEvents(messages)) this.#take(message);
    });
  }
}

/** Resolves after `ms`, or when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = setTimeout(end, ms * (0.5 + Math.random() / 2));
  signal.addEventListener('abort', end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  });
}
