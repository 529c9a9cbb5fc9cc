import { createSocket } from 'node:dgram';
import type { Clock } from '../../shared/clock.ts';
import { writeAll } from '../../shared/output.ts';
import type { Report } from '../../shared/report.ts';
import { type EmfPlace, endingDocument, stateDocuments } from './emf.ts';
import type { Snapshot } from './metrics.ts';

/** Writes the documents in embedded metric format: one for each ending, and the state once a minute. */
export interface EmfOutput {
  ending(report: Report): void;
  message(ageSeconds: number): void;
  /** Writes the state until `stopping` aborts. Never throws. */
  run(read: () => Snapshot, stopping: AbortSignal): Promise<void>;
}

const STDOUT = 1;
/** ms */
const EVERY = 60_000;
/**
 * Where the CloudWatch agent listens. Amazon CloudWatch User Guide, "Using the CloudWatch agent to send embedded metric format logs": over
 * UDP or TCP, one line for each document. A datagram waits for nobody, and one that nobody takes is lost without harm.
 */
const CLOUDWATCH_AGENT = { host: '127.0.0.1', port: 25_888 };

/** Writes a line. What cannot be written is dropped. */
type WriteLine = (line: string) => void;

/** Lines of the log: whatever the format of the log, a document is a line of JSON and nothing else. */
export const toLog: WriteLine = (line) => writeAll(STDOUT, `${line}\n`);

/** Datagrams to the CloudWatch agent of this machine. */
export function toCloudWatchAgent({ host, port } = CLOUDWATCH_AGENT): WriteLine {
  const socket = createSocket('udp4');
  socket.unref();
  socket.on('error', () => undefined);
  return (line) => socket.send(`${line}\n`, port, host, () => undefined);
}

export function createEmfOutput(place: EmfPlace, clock: Clock, write: WriteLine): EmfOutput {
  let oldestMessageSeconds: number | undefined;
  let refusedBefore = 0;

  function writeState(values: Snapshot): void {
    const refused = [...values.refused.values()].reduce((sum, count) => sum + count, 0);
    const since = { refused: refused - refusedBefore, oldestMessageSeconds };
    for (const line of stateDocuments(place, values, since, clock.now())) write(line);
    refusedBefore = refused;
    oldestMessageSeconds = undefined;
  }

  return {
    ending: (report) => write(endingDocument(place, report, clock.now())),
    message(ageSeconds) {
      oldestMessageSeconds = Math.max(oldestMessageSeconds ?? 0, ageSeconds);
    },
    async run(read, stopping) {
      while (!stopping.aborted) {
        await clock.sleep(EVERY, stopping).catch(() => undefined);
        if (!stopping.aborted) writeState(read());
      }
    },
  };
}
