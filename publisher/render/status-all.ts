import type { EnvironmentStatus, StatusAllAnswer } from '../commands/status-all.ts';
import type { ServiceStatus } from '../rollout/service-status.ts';
import type { Page } from './page.ts';
import { aligned, lineOf, oneLine, type Span, type Tone } from './text.ts';

/** Every environment side by side: a row per service, a column per environment. Pure. */

export function statusAllTable({ environments }: StatusAllAnswer, page: Page): string[] {
  const reached = environments.filter((one) => one.trouble === undefined);
  const head: Span[] = [{ text: '' }, ...reached.map(({ env }): Span => ({ text: env, tone: 'strong' }))];
  const rows = servicesOf(environments).map((name): Span[] => [
    { text: name, tone: 'strong' },
    ...reached.map((one) => cellOf(one.services.find(({ service }) => service === name))),
  ]);
  const table =
    rows.length > 0 ? aligned([head, ...rows], { ...page, indent: 0 }) : ['nothing is deployed yet'];
  const unreachable = environments.flatMap(({ env, trouble }) =>
    trouble ? [`${env} cannot be reached: ${oneLine(trouble.message)}`] : [],
  );
  const below = unreachable.map((text) => lineOf([{ text, tone: 'bad' }], page.columns, page.paint));
  return [...table, ...(below.length > 0 ? ['', ...below] : [])];
}

/** `payments dev 1.4.3 3 of 3`, `prd unreachable AWS_DENIED: …`. */
export function statusAllLines({ environments }: StatusAllAnswer): string[] {
  const lines = servicesOf(environments).flatMap((name) =>
    environments.flatMap(({ env, services }) => {
      const found = services.find(({ service }) => service === name);
      return found ? [`${name} ${env} ${cellOf(found).text}`] : [];
    }),
  );
  const unreachable = environments.flatMap(({ env, trouble }) =>
    trouble ? [`${env} unreachable ${trouble.code}: ${oneLine(trouble.message)}`] : [],
  );
  return [...lines, ...unreachable];
}

/** As JSON objects: the status of each service, and the environments that cannot be reached. */
export function statusAllJson({ environments, at }: StatusAllAnswer): object[] {
  const time = new Date(at).toISOString();
  return environments.flatMap(({ env, services, trouble }): object[] => {
    if (trouble === undefined) return services.map((one) => ({ type: 'status', time, env, ...one }));
    const { code, message, hint, detail } = trouble;
    return [{ type: 'unreachable', time, env, code, message, hint, detail }];
  });
}

const servicesOf = (environments: readonly EnvironmentStatus[]) =>
  [...new Set(environments.flatMap(({ services }) => services.map((one) => one.service)))].sort();

/** `1.4.3 2 of 3 DRIFT 1 PAUSED`. */
function cellOf(status: ServiceStatus | undefined): Span {
  if (status === undefined) return { text: '–', tone: 'dim' };
  const { desired, trouble, pause, instances } = status;
  const many = instances.length;
  const on = instances.filter((one) => one.version === desired?.version).length;
  const fleet = many === 0 ? 'no instance' : desired ? `${on} of ${many}` : `${many} known`;
  const wanted = trouble === undefined ? (desired?.version ?? 'none desired') : 'unreadable';
  const counted: [string, number, Tone][] = [
    ['DRIFT', instances.filter((one) => one.drift).length, 'warn'],
    ['BROKEN', instances.filter((one) => one.state === 'broken').length, 'bad'],
    ['DOWN', instances.filter((one) => one.active === false).length, 'bad'],
    ['PINNED', instances.filter((one) => one.pinned).length, 'warn'],
    ['SILENT', instances.filter((one) => one.answered === false).length, 'bad'],
  ];
  const marks = counted.filter(([, count]) => count > 0);
  const tones = marks.map(([, , tone]) => tone);
  const tone =
    trouble !== undefined || tones.includes('bad') ? 'bad' : pause || marks.length > 0 ? 'warn' : undefined;
  const words = [wanted, fleet, ...marks.map(([word, count]) => `${word} ${count}`), pause ? 'PAUSED' : ''];
  return { text: words.filter(Boolean).join(' '), tone };
}
