/** The target groups in the config of one service, for this instance. */
export interface Traffic {
  /** The groups in which this instance is registered now. A draining one is not among them. @throws TRAFFIC_FAILED. */
  groups(signal: AbortSignal): Promise<string[]>;
  /**
   * Deregisters the instance from `groups` and waits, up to the drain timeout, until no group is draining it any more.
   * Idempotent. @throws TRAFFIC_FAILED.
   */
  leave(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
  /** Registers the instance with `groups`. Idempotent. @throws TRAFFIC_FAILED. */
  join(groups: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Waits, up to the healthy timeout, until each of `groups` reports the instance healthy or does not check its health.
   * @throws TRAFFIC_FAILED.
   */
  healthy(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
}
