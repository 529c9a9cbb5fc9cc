import type { InstanceRecord, Report } from '../shared/report.ts';
import type { Forgotten } from './record/deployment-schema.ts';

/**
 * What happens while a command runs. The renderers (table, lines, JSON) and the notifier listen; the code that drives a
 * deployment emits events and never prints.
 */
export type PublisherEvent =
  | {
      type: 'started';
      at: number; // ms since the epoch
      deployment: string;
      env: string;
      service: string;
      version: string;
      /** The version that the deployment replaces; null without one, or when its instances run different ones. */
      previous: string | null;
      action: 'deploy' | 'rollback' | 'restart';
      sequence: number;
      issuedBy: string;
      reason: string | undefined;
      strategy?: 'all' | 'rolling' | undefined;
      /** The automatic checks of the deployment; left out without any. */
      checks?: readonly ('alarms' | 'verify')[] | undefined;
      /** Set when a person chose to make none of them (`--skip-checks`). */
      skippedChecks?: true | undefined;
      /** Whether this command resumes or only watches the deployment; left out when this command started it. */
      how?: 'resumed' | 'watched' | undefined;
      /** The page of the deployment on the console; left out where the config has no `console.url`. */
      url?: string | undefined;
      /** The instances of the deployment that have a record, and what each of them runs. */
      expected: readonly InstanceRecord[];
    }
  /** A new report of an instance. */
  | { type: 'report'; at: number; report: Report }
  /** The instances that the deployment does not wait for, because they are gone: all of them, as far as known now. */
  | { type: 'forgotten'; at: number; deployment: string; instances: readonly Forgotten[] }
  /** A message for a person that is not about one instance: the command waits for a lock, a report was dropped. */
  | {
      type: 'note';
      at: number;
      level: 'info' | 'warning';
      text: string;
      /** In a note about the queue: the place of this command, and how many wait. */
      place?: { place: number; of: number } | undefined;
    }
  /** A wave starts: the deployment is announced to its instances. */
  | {
      type: 'wave';
      at: number;
      deployment: string;
      /** The number of the wave; the first is 1. */
      wave: number;
      of: number;
      kind: 'canary' | 'batch';
      instances: readonly string[];
    }
  /**
   * The deployment waits for confirmation; with `until` (ms since the epoch) it continues by itself at that time if
   * nothing failed.
   */
  | {
      type: 'waiting';
      at: number;
      deployment: string;
      /** How many waves have passed; 0 when all instances are prepared and none has switched. */
      after: number;
      until: number | undefined;
      /** Only another person may confirm, whom a console has verified. */
      confirm?: 'other' | undefined;
      /** The command that confirms. */
      command: string;
      /** The dialog of the console that confirms; left out where the config has no `console.url`. */
      url?: string | undefined;
    }
  /** An automatic check of the deployment starts or ends. */
  | {
      type: 'check';
      at: number;
      deployment: string;
      /** `alarms` starts after the last wave; it fails at any time. That it passed is part of the outcome. */
      check: 'alarms' | 'verify';
      state: 'started' | 'passed' | 'failed';
      /** When `verify` runs. */
      phase?: 'canary' | 'last' | undefined;
      /** Until when the alarms are watched, ms since the epoch. */
      until?: number | undefined;
      /** The command or the alarms of a check that starts; why it failed. */
      text: string;
      /** The end of what `verify` wrote. */
      output?: string | undefined;
    }
  /** This command paused or unpaused a service or, without `service`, the whole environment. */
  | {
      type: 'pause';
      at: number;
      service: string | undefined;
      paused: boolean;
      reason: string | undefined;
    }
  /** The progress of an upload. */
  | { type: 'progress'; at: number; what: string; done: number; total: number } // bytes
  | {
      type: 'settled';
      at: number;
      deployment: string;
      outcome: 'succeeded' | 'failed' | 'timed-out' | 'cancelled';
      exitCode: ExitCode;
      /** How many instances are in each state. The key `silent` counts those without a report. */
      counts: Readonly<Record<string, number>>;
      silent: readonly string[];
      /** The instances that were not waited for; left out when there are none. */
      forgotten?: readonly Forgotten[] | undefined;
      /** One line: the decision, and the desired state now. */
      text: string;
      /** What to do about the first failure, by its report; left out without a failure. */
      hint?: string | undefined;
      /** From the announcement to the last final report, ms. */
      tookMs: number;
      /** Set when the outcome is shown once more, because a rollback followed. `shown` is set, too. */
      afterRollback?: true | undefined;
      /** Set when this command did not settle the deployment: it was settled earlier, or it is not settled yet. */
      shown?: true | undefined;
    };

export type Started = Extract<PublisherEvent, { type: 'started' }>;
export type Settled = Extract<PublisherEvent, { type: 'settled' }>;

/** 0 succeeded; 1 failed or rolled back; 2 usage or config; 3 timed out or silent; 4 refused. README.md lists them. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export type OutputFormat = 'table' | 'lines' | 'json';

export interface Renderer {
  event(event: PublisherEvent): void;
  /** Restores the terminal; nothing is written afterwards. */
  close(): void;
}

/** Emits a note. */
export function note(
  to: { emit: (event: PublisherEvent) => void; clock: { now(): number } },
  text: string,
  level: 'info' | 'warning' = 'info',
  place?: { place: number; of: number },
): void {
  to.emit({ type: 'note', at: to.clock.now(), level, text, ...(place !== undefined && { place }) });
}
