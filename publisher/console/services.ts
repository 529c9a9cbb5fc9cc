import type { ExitCode } from '../events.ts';
import type { ConfigView, ErrorView } from './api.ts';
import type { Assets } from './http/assets.ts';
import type { Watches } from './looks/watches.ts';
import type { Audited } from './people/audit.ts';
import type { CommandLine, Environments, Looks, People } from './ports.ts';
import type { Runs } from './runs/runs.ts';

/** What the routes answer with. */
export interface Services {
  /** The hosts that are allowed besides loopback, in lower case. */
  hosts: readonly string[];
  assets: Assets;
  people: People;
  /** The sessions of a console on loopback; undefined behind a proxy. */
  sessions: Sessions | undefined;
  commands: CommandLine;
  environments: Environments;
  looks: Looks;
  runs: Runs;
  streams: Streams;
  watches: Watches;
  /** Whether nothing can be signed with this console. */
  readOnly: boolean;
  /** What does not depend on the person. */
  config(): Promise<ConfigView>;
  /** The error for the page, with the command that its hint names. */
  view(error: unknown): Promise<{ error: ErrorView; exitCode: ExitCode }>;
  /** Writes a line about a request that changes something. */
  audit(entry: Omit<Audited, 'at'>): void;
  /** ms since the epoch. */
  now(): number;
  /** A clock that never jumps, ms. */
  monotonic(): number;
}

/** The streams that are open. */
export interface Streams {
  /** `end` ends the stream once what was written is sent. Returns what is to be called when the stream is gone. */
  add(person: string, end: () => void): () => void;
  /** How many are open: of everybody, or of one person. */
  count(person?: string): number;
  endAll(): void;
}

export function createStreams(): Streams {
  const open = new Set<{ person: string; end: () => void }>();
  return {
    add(person, end) {
      const one = { person, end };
      open.add(one);
      return () => open.delete(one);
    },
    count: (of) => (of === undefined ? open.size : [...open].filter(({ person }) => person === of).length),
    endAll() {
      for (const { end } of [...open]) end();
    },
  };
}

export interface Sessions {
  /** A session for the key of the address, once. */
  exchange(key: string): { session: string } | 'used' | 'wrong';
  /** Ends all sessions and their streams, and shows a new address where the console was started. */
  endAll(): void;
}
