import { childController, NEVER, orAborted } from './abort.ts';
import { type AwsOrigin, noteOrigin } from './aws-errors.ts';
import { formatMs } from './duration.ts';
import { TriggerDeployError } from './errors.ts';

/**
 * The limits of each call to AWS: a deadline, the end of the program, and a word to a person who waits. They are set
 * here, on the client, so that no call can be without them. A caller can only add its own signal.
 */

/** How a program that is interrupted ends the calls that are under way, and those that it still makes. */
export interface Interruption {
  signal: AbortSignal;
  /** How long a call that changes nothing may last from then on, ms. */
  readMs: number;
  /** The same for a call that changes something: its answer says what is true now. */
  writeMs: number;
}

export interface CallLimits extends AwsOrigin {
  interruption?: Interruption | undefined;
  /** Called when a call has no answer after `SLOW_MS`: what the program waits for. Not for each call of many. */
  onSlow?: ((text: string) => void) | undefined;
}

/** ms. `tryMs` is the timeout of one attempt, `allMs` that of the call with all its attempts. */
interface Timeouts {
  tryMs: number;
  allMs: number;
}
const REQUEST: Timeouts = { tryMs: 8000, allMs: 20_000 };
/** A piece of a file over a slow line. */
const TRANSFER: Timeouts = { tryMs: 60_000, allMs: 180_000 };
/** How much longer than a long poll its answer may take, ms. */
const POLL_MARGIN_MS = 8000;
/** After this time a person is told what the program waits for, ms. */
const SLOW_MS = 1000;
/** The shortest time between two words about the same service, ms. */
const SLOW_AGAIN_MS = 15_000;

interface Command {
  /** The SDK's schema of the operation; its third item is the name. */
  schema?: readonly unknown[];
  input: { Bucket?: string; Key?: string; Prefix?: string; Body?: unknown; WaitTimeSeconds?: number };
}
interface SendOptions {
  abortSignal?: AbortSignal;
  requestTimeout?: number;
}
type Send = (command: Command, options?: SendOptions) => Promise<unknown>;

/** A signature changes nothing, either: what it is for is written by another call. */
const READS = /^(Get|Head|List|Describe|Receive|Sign$)/;

/**
 * Sets the limits on `client`, a client of the SDK, and returns it. `service` is its name for people: `S3`. A call that
 * has no answer in time fails as `TimeoutError`; a call that an interruption ends fails as INTERRUPTED.
 */
export function limitCalls<C extends object>(client: C, service: string, limits: CallLimits): C {
  const sender = client as unknown as { send: Send };
  const send = sender.send.bind(client);
  let toldAt = Number.NEGATIVE_INFINITY;

  function tell(command: Command): void {
    if (performance.now() - toldAt < SLOW_AGAIN_MS) return;
    toldAt = performance.now();
    limits.onSlow?.(`waiting for ${service} (${textOf(command)})`);
  }

  sender.send = async (command, options = {}) => {
    const { tryMs, allMs } = timeoutsOf(command);
    const call = openCall(service, command, { allMs, caller: options.abortSignal ?? NEVER, limits });
    const slow = isLong(command) ? undefined : setTimeout(() => tell(command), SLOW_MS);
    try {
      call.signal.throwIfAborted();
      // The SDK does not end each of its waits with the signal, such as one for credentials.
      return await orAborted(
        send(command, { requestTimeout: tryMs, ...options, abortSignal: call.signal }),
        call.signal,
      );
    } catch (thrown) {
      const error: unknown = call.signal.aborted ? call.signal.reason : thrown;
      noteOrigin(error, { ...limits, service });
      throw error;
    } finally {
      clearTimeout(slow);
      call.close();
    }
  };
  return client;
}

/** A signal that aborts with the caller's signal, at the deadline of the call, or after an interruption. */
function openCall(
  service: string,
  command: Command,
  { allMs, caller, limits }: { allMs: number; caller: AbortSignal; limits: CallLimits },
): { signal: AbortSignal; close: () => void } {
  const { controller, release } = childController(caller);
  const timers: NodeJS.Timeout[] = [];
  const abortAfter = (ms: number, reason: () => unknown) => {
    timers.push(setTimeout(() => controller.abort(reason()), ms));
  };
  abortAfter(allMs, () => timeoutError(`${service} gave no answer within ${formatMs(allMs)}`));
  const { interruption } = limits;
  const onInterrupt = () => {
    if (interruption === undefined) return;
    const isRead = READS.test(operationOf(command));
    const ms = isRead ? interruption.readMs : interruption.writeMs;
    const reason = () => (isRead ? interruption.signal.reason : interruptedWrite(service, command));
    // Without a timer for 0 ms: a read must not begin after the interruption.
    if (ms === 0) controller.abort(reason());
    else abortAfter(ms, reason);
  };
  if (interruption?.signal.aborted) onInterrupt();
  else interruption?.signal.addEventListener('abort', onInterrupt, { once: true });
  return {
    signal: controller.signal,
    close() {
      for (const timer of timers) clearTimeout(timer);
      release();
      interruption?.signal.removeEventListener('abort', onInterrupt);
    },
  };
}

function timeoutError(message: string): Error {
  const error = new Error(message);
  error.name = 'TimeoutError';
  return error;
}

function interruptedWrite(service: string, command: Command): TriggerDeployError {
  return new TriggerDeployError(
    'INTERRUPTED',
    `interrupted while ${service} did not answer (${textOf(command)})`,
    { hint: 'this change may have been made or not: look at the status before you repeat it' },
  );
}

function timeoutsOf(command: Command): Timeouts {
  const { WaitTimeSeconds } = command.input;
  if (operationOf(command) === 'ReceiveMessage') {
    const tryMs = (WaitTimeSeconds ?? 0) * 1000 + POLL_MARGIN_MS;
    return { tryMs, allMs: 2 * tryMs };
  }
  return isTransfer(command) ? TRANSFER : REQUEST;
}

const operationOf = ({ schema }: Command): string => String(schema?.[2] ?? '');

/** Whether the call carries a piece of a file. A body of text is a small document. */
const isTransfer = ({ input }: Command) => input.Body !== undefined && typeof input.Body !== 'string';

/** Calls that take more than `SLOW_MS` in health: a long poll, and a transfer, which shows its progress. */
const isLong = (command: Command) => isTransfer(command) || operationOf(command) === 'ReceiveMessage';

function textOf(command: Command): string {
  const { Bucket, Key, Prefix } = command.input;
  const where = Bucket === undefined ? '' : ` s3://${Bucket}/${Key ?? Prefix ?? ''}`;
  return `${operationOf(command)}${where}`;
}
