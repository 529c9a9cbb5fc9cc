import type { ErrorView } from '../api.ts';

/** What the console answers to a request, before anything of it is sent. */
export interface Answer {
  status: number;
  headers?: Readonly<Record<string, string>>;
  /** JSON of the API. */
  json?: object;
  /** A file of the page; left out for the answer to a request without one. */
  bytes?: Uint8Array;
  /** Takes the connection over, after the headers: a stream. */
  stream?: (connection: Connection) => void;
  /** Whether the connection ends with the answer, because the rest of the request is not read. */
  ends?: boolean;
}

/** The connection of one stream, as its writer sees it. */
export interface Connection {
  /** Sends `text`; false when so much is waiting to be sent that no more should be written now. */
  write(text: string): boolean;
  /** Calls `then` once all that was written has been sent, once for each call. */
  onSent(then: () => void): void;
  end(): void;
  /** Ends it without waiting for a reader that does not read. */
  destroy(): void;
  /** Calls `then` when the connection is gone, whoever ended it. */
  onGone(then: () => void): void;
}

/**
 * The headers of every answer. The page can load its own files and speak to this server, and nothing else; no other page
 * can frame it, read it, or hold a reference to its window. Trusted Types make text that becomes HTML an error.
 *
 * Source: "Content Security Policy Level 3" and "Trusted Types", W3C.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

export function refused(
  status: number,
  code: string,
  message: string,
  more: { hint?: string; headers?: Readonly<Record<string, string>>; ends?: boolean } = {},
): Answer {
  const { hint, headers, ends } = more;
  const error: ErrorView = { code, message, ...(hint !== undefined && { hint }) };
  return {
    status,
    json: { error },
    ...(headers !== undefined && { headers }),
    ...(ends === true && { ends }),
  };
}
