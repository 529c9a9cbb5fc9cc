/** Where the address of the webhook is kept. The address is a secret: it is all that a sender needs to post there. */
export type WebhookPlace = { address: string } | { file: string } | { variable: string };

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether `text` is an https address, or http to this machine, without user and password (fetch names them in its error). */
export function isWebhookAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  const encrypted = protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  return encrypted && username === '' && password === '';
}
