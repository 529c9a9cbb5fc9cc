import { ago } from '../../shared/duration.ts';
import type { Place, PushedVersion, VersionsAnswer } from '../commands/versions.ts';
import type { Page } from './page.ts';
import { aligned, bytesText, localTime, oneLine, type Span } from './text.ts';

/** The pushed versions of a service and where each runs, the newest push first. Pure. */

export function versionsTable({ service, env, at, versions, more }: VersionsAnswer, page: Page): string[] {
  const rows = versions.map(({ version, pushed, error, runsIn }): Span[] => [
    { text: version, tone: runsIn.length > 0 ? 'strong' : undefined },
    pushed ? { text: localTime(Date.parse(pushed.at)) } : { text: '?', tone: 'bad' },
    { text: pushed ? ago(Date.parse(pushed.at), at) : '', tone: 'dim' },
    { text: pushed ? bytesText(pushed.size) : '' },
    { text: oneLine(pushed?.by ?? '') },
    { text: pushed?.build ?? '', tone: 'dim' },
    { text: runsIn.map(placeText).join(' · ') },
    { text: error ? errorText(error) : '', tone: 'bad' },
  ]);
  return [
    page.paint('strong', `${service} in ${env}`),
    '',
    ...aligned(rows, page),
    ...(more ? ['', '  older versions: --limit'] : []),
  ];
}

/** `payments 1.4.2 pushed 2026-11-21T08:14:02Z by ci 23.1 MB runs in dev (desired, 3 instances)`. */
export function versionsLines({ versions }: VersionsAnswer): string[] {
  return versions.map(({ service, version, pushed, error, runsIn }) => {
    const push = pushed
      ? `pushed ${pushed.at} by ${oneLine(pushed.by)} ${bytesText(pushed.size)}${pushed.build === undefined ? '' : ` of ${pushed.build}`}`
      : `unreadable ${error ? errorText(error) : ''}`;
    const places = runsIn.length > 0 ? `runs in ${runsIn.map(placeText).join(', ')}` : 'runs nowhere';
    return `${service} ${version} ${push} ${places}`;
  });
}

export function versionsJson({ env, versions }: VersionsAnswer): object[] {
  return versions.map(({ pushed, ...rest }) => ({
    ...{ type: 'version', env, ...rest },
    ...{ pushedAt: pushed?.at, pushedBy: pushed?.by, build: pushed?.build, size: pushed?.size },
  }));
}

function placeText({ env, desired, instances }: Place): string {
  const many = `${instances.length} ${instances.length === 1 ? 'instance' : 'instances'}`;
  return `${env} (${desired ? 'desired, ' : ''}${many})`;
}

const errorText = ({ code, message }: NonNullable<PushedVersion['error']>) => `${code}: ${oneLine(message)}`;
