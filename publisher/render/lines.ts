import type { Report } from '../../shared/report.ts';
import { isEnding, STEPS } from '../../shared/states.ts';
import type { PublisherEvent, Renderer } from '../events.ts';
import { checkLines } from './check-text.ts';
import { failureLines, instancesText, lateLines } from './failure-text.ts';
import { forgottenText } from './forgotten-text.ts';
import { bytesText, oneLine, timeOfDay } from './text.ts';
import { waveText } from './wave-text.ts';

/** What later lines need to know from earlier events. */
interface Memory {
  service: string;
  startedAt: number | undefined;
  /** When the last report of each instance came, ms since the epoch. */
  reportedAt: Map<string, number>;
  /** The latest report of each instance; empty once its failures are printed. */
  reports: Map<string, Report>;
  /** How much of each upload was done at its last event, in tenths: a line is printed for each new tenth. */
  tenths: Map<string, number>;
}

/**
 * One line per event, time first: for a pipe, a build log and grep. The line of a failed instance has its reason. The
 * logs follow before the outcome, one per failure and not one per instance. The outcome is the last line of a
 * deployment.
 */
export function createLines(write: (text: string) => void): Renderer {
  const memory: Memory = {
    ...{ service: '', startedAt: undefined },
    ...{ reportedAt: new Map(), reports: new Map(), tenths: new Map() },
  };
  let lastAt = 0;
  const print = (lines: readonly string[]) => {
    for (const line of lines) write(`${line}\n`);
  };
  return {
    event(event) {
      lastAt = event.at;
      if (event.type === 'started' || event.type === 'settled') print(failuresOf(memory, event.at));
      print(linesOf(event, memory));
      remember(event, memory);
    },
    close() {
      // The command may have stopped following a deployment that is not settled.
      print(failuresOf(memory, lastAt));
    },
  };
}

function failuresOf(memory: Memory, at: number): string[] {
  const lines = failureLines(memory.reports.values(), `${timeOfDay(at)} ${memory.service} `);
  memory.reports.clear();
  return lines;
}

function linesOf(event: PublisherEvent, memory: Memory): string[] {
  const time = timeOfDay(event.at);
  switch (event.type) {
    case 'started': {
      const { service, previous, version, env, deployment, issuedBy, reason, sequence } = event;
      const change = previous === null ? version : `${previous} → ${version}`;
      const why = reason ? ` (${oneLine(reason)})` : '';
      const who = `sequence ${sequence}, by ${oneLine(issuedBy)}${why}`;
      const fleet = `${event.expected.length} expected${event.skippedChecks ? ', checks skipped' : ''}`;
      return [
        `${time} ${service} started ${event.action} ${change} in ${env} ${deployment} ${who}, ${fleet}${event.url === undefined ? '' : `, ${oneLine(event.url)}`}`,
      ];
    }
    case 'report': {
      const { report } = event;
      const since = memory.reportedAt.get(report.instance) ?? memory.startedAt;
      const plus = since === undefined ? '' : ` +${secondsText(Math.max(0, event.at - since))}`;
      return [`${time} ${reportText(report)}${plus}`];
    }
    case 'note':
      return [`${time} ${event.level === 'warning' ? 'warning: ' : ''}${oneLine(event.text)}`];
    case 'forgotten':
      return event.instances.map((one) => `${time} ${memory.service} ${one.instance} ${forgottenText(one)}`);
    case 'wave':
    case 'waiting':
      return [`${time} ${memory.service} ${waveText(event)}`];
    case 'check': {
      const [first, ...below] = checkLines(event);
      return [`${time} ${memory.service} ${first}`, ...below];
    }
    case 'pause':
      return [];
    case 'progress': {
      const tenth = tenthOf(event);
      if (tenth === 0 || tenth === memory.tenths.get(event.what)) return [];
      const amount = `${bytesText(event.done)} of ${bytesText(event.total)}`;
      return [`${time} upload ${oneLine(event.what)} ${tenth * 10}% ${amount}`];
    }
    case 'settled': {
      const counts = Object.entries(event.counts).map(([state, count]) => `${count} ${state}`);
      const silent = event.silent.length > 0 ? ` silent: ${instancesText(event.silent)}` : '';
      const silentLines = event.silent.map(
        (one) => `${time} ${memory.service} ${one} silent, never answered`,
      );
      const took = secondsText(event.tookMs);
      const facts = [counts.join(', '), took].filter(Boolean).join(', ');
      return [
        ...(event.afterRollback ? [] : silentLines),
        ...lateLines(event),
        `${time} ${memory.service || event.deployment} settled ${event.outcome}: ${oneLine(event.text)} (${facts})${silent}`,
      ];
    }
  }
}

function remember(event: PublisherEvent, memory: Memory): void {
  if (event.type === 'started') {
    memory.service = event.service;
    memory.startedAt = event.at;
    memory.reportedAt.clear();
  } else if (event.type === 'report') {
    memory.reportedAt.set(event.report.instance, event.at);
    memory.reports.set(event.report.instance, event.report);
  } else if (event.type === 'progress') memory.tenths.set(event.what, tenthOf(event));
}

const tenthOf = ({ done, total }: { done: number; total: number }) =>
  total === 0 ? 10 : Math.min(10, Math.floor((done / total) * 10));

/** `payments i-0a1b2c3d checking 1.4.2 http 200, 3 of 3`, without the time. */
export function reportText(report: Report): string {
  const { service, instance, state, version, previous, note, error, step } = report;
  const parts = [service, instance, state, version];
  // During a rollback the agent starts and checks the previous version.
  if (!isEnding(state) && step === 'rollback') parts.push(`rolling back to ${previous ?? 'no version'}`);
  if (isEnding(state) && previous !== undefined) {
    if (state === 'succeeded' && report.changed === false) parts.push('already running');
    else if (state === 'rolled-back')
      parts.push(previous === null ? 'back to no version' : `back to ${previous}`);
    else if (previous !== null) parts.push(`after ${previous}`);
  }
  if (error) parts.push(`${oneLine(error.code)}: ${oneLine(error.message)}`);
  else if (note) parts.push(oneLine(note));
  if (report.warning) parts.push(`warning: ${oneLine(report.warning)}`);
  if (isEnding(state)) {
    for (const step of STEPS) {
      const ms = report.timings[step];
      if (ms !== undefined) parts.push(`${step}=${secondsText(ms)}`);
    }
  }
  return parts.join(' ');
}

const secondsText = (ms: number) => `${(ms / 1000).toFixed(2)}s`;
