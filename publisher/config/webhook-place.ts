/** Where the address of the webhook is kept. The address is a secret: a sender needs nothing else to post there. */
export type WebhookPlace = { address: string } | { file: string } | { variable: string };

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether `text` is an https address, or an http address of this machine. It may have no user and no password, because
 * the errors of `fetch` would show them.
 */
export function isWebhookAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  const encrypted = protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  return encrypted && username === '' && password === '';
}
