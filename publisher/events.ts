import type { InstanceRecord, Report } from '../shared/report.ts';

/**
 * What happens while a command runs, for whoever shows it: the table, the lines, the JSON. The loop that
 * drives a deployment says these and nothing else; it never prints.
 */
export type PublisherEvent =
  | {
      type: 'started';
      at: number; // ms since the epoch
      deployment: string;
      env: string;
      service: string;
      version: string;
      /** What the desired state said before. */
      previous: string | null;
      action: 'deploy' | 'rollback' | 'restart';
      sequence: number;
      issuedBy: string;
      reason: string | undefined;
      strategy?: 'all' | 'rolling' | undefined;
      /** Whether somebody goes on with it, or only looks; it begins here when left out. */
      how?: 'resumed' | 'watched' | undefined;
      /** The instances known to the record, with what they run. */
      expected: readonly InstanceRecord[];
    }
  /** An instance said something new: its latest report. */
  | { type: 'report'; at: number; report: Report }
  /** Something a person should know that is about no instance: a lock waited for, a report dropped. */
  | { type: 'note'; at: number; level: 'info' | 'warning'; text: string }
  /** A wave begins. */
  | {
      type: 'wave';
      at: number;
      deployment: string;
      /** Counted from 1. */
      wave: number;
      of: number;
      kind: 'canary' | 'batch';
      instances: readonly string[];
    }
  /** It goes no further until somebody confirms, or `until` (ms since the epoch) has come and nothing failed. */
  | {
      type: 'waiting';
      at: number;
      deployment: string;
      /** How many waves have passed. */
      after: number;
      until: number | undefined;
      /** What a person types to go on. */
      command: string;
    }
  /** Somebody paused a service, or the environment, or lifted that; its own answer says it to whoever did. */
  | {
      type: 'pause';
      at: number;
      service: string | undefined;
      paused: boolean;
      reason: string | undefined;
    }
  /** How far an upload is. */
  | { type: 'progress'; at: number; what: string; done: number; total: number } // bytes
  | {
      type: 'settled';
      at: number;
      deployment: string;
      outcome: 'succeeded' | 'failed' | 'timed-out' | 'cancelled';
      exitCode: ExitCode;
      /** Ids of instances by where they ended; the silent never answered. */
      counts: Readonly<Record<string, number>>;
      silent: readonly string[];
      /** One line: what was decided and what the desired state is now. */
      text: string;
      /** From the announcement to the last ending, ms. */
      tookMs: number;
      /** It was not decided by this command. */
      shown?: true | undefined;
    };

/** DESIGN: "Exit codes". */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export type OutputFormat = 'table' | 'lines' | 'json';

export interface Renderer {
  event(event: PublisherEvent): void;
  /** Leaves the terminal as it was found; nothing is drawn afterwards. */
  close(): void;
}

/** What is worth a line beside the events that a program waits for. */
export function note(
  to: { emit: (event: PublisherEvent) => void; clock: { now(): number } },
  text: string,
  level: 'info' | 'warning' = 'info',
): void {
  to.emit({ type: 'note', at: to.clock.now(), level, text });
}
