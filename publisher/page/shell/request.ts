import type { ErrorView, RollCallView, RunAnswer } from '../../console/api.ts';
import { authorization, notAdmitted } from './session.ts';

/** How long an answer may take, ms. */
const PATIENCE_MS = 30_000;

/** A request that failed. */
export class RequestError extends Error {
  readonly view: ErrorView;
  /** The status of the answer; 0 without one. */
  readonly status: number;

  constructor(view: ErrorView, status: number, cause?: unknown) {
    super(view.message, { cause });
    this.view = view;
    this.status = status;
  }
}

export interface RequestOptions {
  /** Sent as JSON by POST; without it the request is a GET. */
  body?: object;
  signal?: AbortSignal;
}

/** What the console answers on `path`. @throws RequestError; it never throws anything else but an abort by `signal`. */
export async function request<T>(path: string, { body, signal }: RequestOptions = {}): Promise<T> {
  const deadline = AbortSignal.timeout(PATIENCE_MS);
  const response = await send(path, {
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw new RequestError(deadline.aborted ? LATE : UNREACHABLE, 0, cause);
  });
  const answer = await response
    .clone()
    .json()
    .catch(() => undefined);
  if (response.ok && answer !== undefined) return answer as T;
  throw new RequestError((await statedIn(response)) ?? unreadable(response), response.status);
}

/** Why the console refused, as it says it; undefined when it is not the console that answered. */
export async function statedIn(response: Response): Promise<ErrorView | undefined> {
  const answer = (await response.json().catch(() => undefined)) as { error?: ErrorView } | undefined;
  return answer?.error;
}

/** Sends a request as this page: the session, and the header that no form and no other site can send. */
export async function send(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, {
    ...init,
    headers: {
      ...(init.body != null && { 'content-type': 'application/json' }),
      ...authorization(),
      'x-trigger-deploy': '1',
    },
    cache: 'no-store',
    credentials: 'same-origin',
    // A proxy sends a login that expired elsewhere: there is nothing to follow.
    redirect: 'manual',
  });
  if (response.type === 'opaqueredirect') notAdmitted(undefined);
  else if (response.status === 401) notAdmitted((await statedIn(response.clone()))?.code);
  return response;
}

const UNREACHABLE: ErrorView = {
  code: 'UNREACHABLE',
  message: 'the console does not answer',
  hint: 'check that `trigger-deploy console` still runs; deployments do not need it to go on',
};
const LATE: ErrorView = {
  code: 'TIMEOUT',
  message: `the console gave no answer within ${PATIENCE_MS / 1000} s`,
  hint: 'it may have done what was asked: look before you repeat it',
};
const unreadable = ({ status }: Response): ErrorView => ({
  code: status === 0 || status === 401 ? 'NO_LOGIN' : 'BAD_ANSWER',
  message:
    status === 0 || status === 401 ? 'the login has expired' : `the answer cannot be read (HTTP ${status})`,
});

/** What to show of an error that a request threw. */
export const errorOf = (error: unknown): ErrorView =>
  error instanceof RequestError ? error.view : { code: 'INTERNAL', message: String(error) };

/**
 * Carries out a command. `run` is an id that the caller made: the same id again is the same run. `confirmsEmpty`: the person
 * agrees to deploy where no instance is yet.
 */
export const runCommand = (argv: readonly string[], run: string, confirmsEmpty = false) =>
  request<RunAnswer>('/api/run', { body: { argv, run, ...(confirmsEmpty && { confirmsEmpty }) } });

/** Takes a command that `by` began at this console out of the line, where it has announced nothing. */
export const leaveLine = (run: string, by: string) => request<RunAnswer>('/api/leave', { body: { run, by } });

/** Asks all instances of the environment which versions they run. */
export const rollCall = (env: string) => request<RollCallView>('/api/roll-call', { body: { env } });
