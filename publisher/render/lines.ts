import { isEnding, type Report, STEPS } from '../../shared/report.ts';
import type { PublisherEvent, Renderer } from '../events.ts';
import { bytesText, oneLine, tailLines, timeOfDay } from './text.ts';
import { waveText } from './wave-text.ts';

/** What went before, as far as the next line speaks of it. */
interface Before {
  service: string;
  /** When each instance was last heard of, ms since the epoch. */
  heard: Map<string, number>;
  startedAt: number | undefined;
  /** Tenths of each upload that have been told. */
  tenths: Map<string, number>;
}

/** A line an event, time first: made for a pipe, a build log and grep. */
export function createLines(write: (text: string) => void): Renderer {
  const before: Before = { service: '', heard: new Map(), startedAt: undefined, tenths: new Map() };
  return {
    event(event) {
      for (const line of linesOf(event, before)) write(`${line}\n`);
      remember(event, before);
    },
    close() {},
  };
}

function linesOf(event: PublisherEvent, before: Before): string[] {
  const time = timeOfDay(event.at);
  switch (event.type) {
    case 'started': {
      const { service, previous, version, env, deployment, issuedBy, reason, sequence } = event;
      const change = previous === null ? version : `${previous} → ${version}`;
      const why = reason ? ` (${oneLine(reason)})` : '';
      const who = `sequence ${sequence}, by ${oneLine(issuedBy)}${why}`;
      const fleet = `${event.expected.length} expected`;
      return [
        `${time} ${service} started ${event.action} ${change} in ${env} ${deployment} ${who}, ${fleet}`,
      ];
    }
    case 'report': {
      const { report } = event;
      const since = before.heard.get(report.instance) ?? before.startedAt;
      const plus = since === undefined ? '' : ` +${secondsText(Math.max(0, event.at - since))}`;
      return [`${time} ${reportText(report)}${plus}`, ...reportTail(report)];
    }
    case 'note':
      return [`${time} ${event.level === 'warning' ? 'warning: ' : ''}${oneLine(event.text)}`];
    case 'wave':
    case 'waiting':
      return [`${time} ${before.service} ${waveText(event)}`];
    case 'pause':
      return [];
    case 'progress': {
      const tenth = tenthOf(event);
      if (tenth === 0 || tenth === before.tenths.get(event.what)) return [];
      const amount = `${bytesText(event.done)} of ${bytesText(event.total)}`;
      return [`${time} upload ${oneLine(event.what)} ${tenth * 10}% ${amount}`];
    }
    case 'settled': {
      const counts = Object.entries(event.counts).map(([state, count]) => `${count} ${state}`);
      const silent = event.silent.length > 0 ? ` silent: ${event.silent.join(' ')}` : '';
      const took = secondsText(event.tookMs);
      const facts = [counts.join(', '), took].filter(Boolean).join(', ');
      return [
        `${time} ${before.service || event.deployment} settled ${event.outcome}: ${oneLine(event.text)} (${facts})${silent}`,
      ];
    }
  }
}

function remember(event: PublisherEvent, before: Before): void {
  if (event.type === 'started') {
    before.service = event.service;
    before.startedAt = event.at;
    before.heard.clear();
  } else if (event.type === 'report') before.heard.set(event.report.instance, event.at);
  else if (event.type === 'progress') before.tenths.set(event.what, tenthOf(event));
}

const tenthOf = ({ done, total }: { done: number; total: number }) =>
  total === 0 ? 10 : Math.min(10, Math.floor((done / total) * 10));

/** `payments i-0a1b2c3d checking 1.4.2 http 200 3/3`, without the time. */
export function reportText(report: Report): string {
  const { service, instance, state, version, previous, note, error, step } = report;
  const parts = [service, instance, state, version];
  // On the way back it is the version before that is started and checked.
  if (!isEnding(state) && step === 'rollback') parts.push(`going back to ${previous ?? 'none'}`);
  if (isEnding(state) && previous !== undefined) {
    if (report.changed === false) parts.push('ran already');
    else if (state === 'rolled-back') parts.push(previous === null ? 'back to none' : `back to ${previous}`);
    else if (previous !== null) parts.push(`after ${previous}`);
  }
  if (error) parts.push(`${oneLine(error.code)}: ${oneLine(error.message)}`);
  else if (note) parts.push(oneLine(note));
  if (isEnding(state)) {
    for (const step of STEPS) {
      const ms = report.timings[step];
      if (ms !== undefined) parts.push(`${step}=${secondsText(ms)}`);
    }
  }
  return parts.join(' ');
}

/** The end of the service's log, each line marked so that it is not taken for an event. */
export function reportTail({ error }: Report): string[] {
  return tailLines(error?.detail ?? '').map((line) => `  | ${line}`);
}

const secondsText = (ms: number) => `${(ms / 1000).toFixed(2)}s`;
