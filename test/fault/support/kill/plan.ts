/** What the kill matrix and the agent that it kills have to agree on. */

/**
 * `during` is half-way through the call: for most methods, the real call has begun and the event loop has gone
 * round once. Where half-way leaves something, it is made to leave just that:
 * `journal.append` half a line, `package.switchTo` the new link not yet renamed over the old, `package.prepare` half
 * a download in the staging, `package.prune` a release on its way out, `hooks.run` and `command.*` the hook, the
 * start or the stop itself, running on without an agent. `after` is: done, and not yet answered.
 */
export const PHASES = ['before', 'during', 'after'] as const;
export type Phase = (typeof PHASES)[number];

/** The n-th call of a port's method, counted from 1 within a life of the agent. */
export interface KillPoint {
  method: string;
  n: number;
  phase: Phase;
}

export type PackageKind = 'jar' | 'archive';

/** `world.json`: what an agent finds, beside the directories in its root. */
export interface World {
  type: PackageKind;
  host: string;
  port: number;
  node: string;
  /** The scripts that are service manager and hook. */
  control: string;
  hook: string;
  /** Where the artifacts lie, by sha256. */
  bucket: string;
  publicKey: string;
  /** A message is not there before a line of events.jsonl holds this. */
  gates: Record<string, string>;
  /** Versions whose download stalls half-way until it is aborted. */
  stuck: string[];
  /** Versions that are not healthy: their checks are given up early, and those of the others never. */
  bad: string[];
  /** The deployments that must have ended for the agent to be done. */
  deployments: string[];
}

export const ENV = 'dev';
export const INSTANCE = 'i-1';
export const SERVICE = 'payments';

/** A line of events.jsonl: everything that happens in a root, by whomever, in one order. */
export type Event = { what: string } & Record<string, unknown>;
