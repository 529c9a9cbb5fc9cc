/** What `gc` looks for, in the order in which it works: what holds deployments up comes first. */
export const KINDS = [
  'subscriptions',
  'queues',
  'records',
  'reply-queues',
  'versions',
  'deployments',
  'uploads',
] as const;
export type Kind = (typeof KINDS)[number];

/** The kinds that belong to a service. */
export const OF_SERVICES: readonly Kind[] = ['records', 'versions', 'deployments', 'uploads'];
