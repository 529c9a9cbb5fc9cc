import { closeSync, type FSWatcher, openSync, readFileSync, watch, writeSync } from 'node:fs';
import type { Event, KillPoint } from './plan.ts';

/** events.jsonl: whole lines from this process and from the scripts it runs, each written at once. */
export class Events {
  readonly #path: string;
  readonly #fd: number;
  readonly #watcher: FSWatcher;
  #changed = Promise.withResolvers<void>();

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'a');
    this.#watcher = watch(path, { persistent: false }, () => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  say(event: Event): void {
    writeSync(this.#fd, `${JSON.stringify(event)}\n`);
  }

  count(text: string): number {
    return readFileSync(this.#path, 'utf8').split(text).length - 1;
  }

  /** Resolves at the next line from now on. Get it before reading the file, so that no line is missed. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  close(): void {
    this.#watcher.close();
    closeSync(this.#fd);
  }
}

/** Begins the real work and kills the process in the middle of it. */
export type Halfway = (work: () => Promise<unknown>, die: () => void, args: readonly unknown[]) => void;

/** Counts the calls of all ports, and kills this process at the one it is armed for. */
export class Tripwire {
  readonly #events: Events;
  readonly #point: KillPoint | undefined;
  readonly #counts = new Map<string, number>();
  /** The number of running calls, without those that wait for an event. */
  inFlight = 0;
  /** Called when a call has ended. */
  onReturn: () => void = () => {};

  constructor(events: Events, point: KillPoint | undefined) {
    this.#events = events;
    this.#point = point;
  }

  countOf(method: string): number {
    return this.#counts.get(method) ?? 0;
  }

  readonly die = (): void => {
    this.#events.say({ what: 'killed', ...this.#point });
    process.kill(process.pid, 'SIGKILL');
  };

  #enter(method: string): KillPoint['phase'] | undefined {
    const n = this.countOf(method) + 1;
    this.#counts.set(method, n);
    this.#events.say({ what: 'call', method, n });
    const phase = this.#point?.method === method && this.#point.n === n ? this.#point.phase : undefined;
    if (phase === 'before') this.die();
    return phase;
  }

  async call<T>(
    method: string,
    work: () => Promise<T>,
    options: { halfway?: Halfway | undefined; args?: readonly unknown[]; waits?: boolean } = {},
  ): Promise<T> {
    const phase = this.#enter(method);
    if (phase === 'during') {
      const { halfway = oneTurn, args = [] } = options;
      halfway(work, this.die, args);
      return await new Promise<never>(() => {});
    }
    if (!options.waits) this.inFlight += 1;
    try {
      return await work();
    } finally {
      if (phase === 'after') this.die();
      if (!options.waits) this.inFlight -= 1;
      this.onReturn();
    }
  }

  callNow<T>(method: string, work: () => T): T {
    const phase = this.#enter(method);
    const result = work();
    if (phase !== undefined) this.die();
    return result;
  }
}

/** The call has begun, and the event loop has turned once. */
const oneTurn: Halfway = (work, die) => {
  work().catch(() => {});
  setImmediate(die);
};

/** A proxy of `port` whose `methods` pass through `wire`; `port` itself is unchanged. */
export function wired<P extends object, M extends string & keyof P>(
  wire: Tripwire,
  name: string,
  port: P,
  methods: readonly M[],
  halfways: Partial<Record<M, Halfway>> = {},
): P {
  const known: readonly string[] = methods;
  return new Proxy(port, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || typeof key !== 'string' || !known.includes(key)) return value;
      return (...args: unknown[]) =>
        wire.call(`${name}.${key}`, () => Reflect.apply(value, target, args) as Promise<unknown>, {
          args,
          halfway: (halfways as Record<string, Halfway | undefined>)[key],
        });
    },
  });
}
