/** How often each agent writes its heartbeat into the record, ms. It may be a fifth later. */
export const HEARTBEAT_EVERY_MS = 20 * 60_000;

/**
 * The shortest time after which an instance may count as silent, ms: at least one heartbeat must have been due, with the
 * time for its retries.
 */
export const SHORTEST_SILENCE_MS = 30 * 60_000;
