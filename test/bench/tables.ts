import type { Calls } from './calls.ts';
import { type ConsoleFigures, linesOf } from './console/console.ts';
import type { Figures, Part } from './figures.ts';
import type { Footprint } from './footprint.ts';
import { median } from './median.ts';
import type { Run } from './peers/compare.ts';
import { PEERS, type PeerName } from './peers/peers.ts';
import type { Measured } from './scale/measure.ts';
import type { ScaleFigures } from './scale/scale.ts';

/** The tables of docs/PERFORMANCE.md, with the change against an earlier run where there is one. Pure. */

/** The text of each block of the page, by its name. */
export function tables(now: Figures, before: Figures): Record<string, string> {
  const blocks: Record<string, string> = {};
  if (now.compare) blocks.compare = compareTable(now.compare, before.compare?.figures);
  if (now.footprint) blocks.footprint = footprintTable(now.footprint, before.footprint?.figures);
  if (now.calls) blocks.calls = callsTable(now.calls, before.calls?.figures);
  if (now.scale) blocks.scale = scaleTable(now.scale, before.scale?.figures);
  if (now.console) blocks.console = consoleTable(now.console, before.console?.figures);
  return blocks;
}

const NAMES: Record<PeerName, string> = {
  floor: 'floor',
  clush: 'clush',
  ansible: 'Ansible',
  'trigger-deploy': 'trigger-deploy',
};

function measured({ at, machine, load, versions }: Part<unknown>): string {
  const when = `${at.slice(0, 10)}, ${at.slice(11, 16)} UTC`;
  const others = `Before the run, other programs used ${Math.round(load * 100)} % of the CPU.`;
  return `Measured on ${when}. Machine: ${machine}. ${others}${versions === undefined ? '' : ` ${versions}.`}`;
}

function compareTable(part: Part<Run[]>, before: Run[] | undefined): string {
  const runs = part.figures;
  const head = [
    'MB',
    'hosts',
    ...PEERS.map((peer) => `${NAMES[peer]}, s`),
    'to clush',
    'to Ansible',
    'to floor',
  ];
  const last = before === undefined ? [] : ['before, s'];
  const cells = [...new Set(runs.map(({ megabytes, hosts }) => `${megabytes} ${hosts}`))]
    .map((cell) => cell.split(' ').map(Number) as [number, number])
    .sort(([a, b], [c, d]) => a - c || b - d);
  const rows = cells.map(([megabytes, hosts]) => {
    const here = runs.filter((run) => run.megabytes === megabytes && run.hosts === hosts);
    const earlier = before?.filter((run) => run.megabytes === megabytes && run.hosts === hosts);
    return [
      String(megabytes),
      String(hosts),
      ...PEERS.map((peer) => seconds(wallOf(here, peer))),
      ...(['clush', 'ansible', 'floor'] as const).map((peer) => ratioText(ratio(here, peer))),
      ...(earlier === undefined ? [] : [seconds(wallOf(earlier, 'trigger-deploy'))]),
    ];
  });
  const rounds = Math.max(...runs.map(({ round }) => round));
  const noise = median(runs.map(({ others }) => others)) ?? 0;
  const cpu = cells.map(([megabytes, hosts]) => {
    const here = runs.filter((run) => run.megabytes === megabytes && run.hosts === hosts);
    const of = (peer: PeerName, key: 'cpu' | 'client') =>
      seconds(median(here.filter((run) => run.peer === peer).map((run) => run[key])));
    return [
      ...[String(megabytes), String(hosts)],
      ...PEERS.flatMap((peer) =>
        peer === 'floor' ? [of(peer, 'cpu')] : [`${of(peer, 'cpu')} (${of(peer, 'client')})`],
      ),
    ];
  });
  return `${measured(part)} The median of ${rounds} rounds; a ratio is the median of the ratios of each round. During the
runs, other programs used ${Math.round(noise * 100)} % of the CPU.

Wall time of the whole command; a ratio below 1 means that trigger-deploy is faster:

${table([...head, ...last], rows)}

CPU time of both ends, s; in parentheses, of it the part of the machine that deploys:

${table(['MB', 'hosts', ...PEERS.map((peer) => NAMES[peer])], cpu)}`;
}

const wallOf = (runs: Run[], peer: PeerName) =>
  median(runs.filter((run) => run.peer === peer).map(({ wall }) => wall));

/** How much longer trigger-deploy takes than `peer`: the median over the rounds. */
function ratio(runs: Run[], peer: PeerName): number | undefined {
  const ratios = runs
    .filter((run) => run.peer === 'trigger-deploy')
    .flatMap((run) => {
      const other = runs.find((one) => one.peer === peer && one.round === run.round);
      return other === undefined ? [] : [run.wall / other.wall];
    });
  return median(ratios);
}

function footprintTable(part: Part<Footprint>, before: Footprint | undefined): string {
  const row = (what: string, unit: string, pick: (of: Footprint) => number | undefined, digits = 0) => {
    const text = (of: Footprint | undefined) => {
      const value = of && pick(of);
      return value === undefined ? '–' : `${value.toFixed(digits)} ${unit}`;
    };
    return [what, text(part.figures), ...(before === undefined ? [] : [text(before)])];
  };
  const after = (megabytes: number) => (of: Footprint) =>
    of.agent.after.find((one) => one.megabytes === megabytes);
  const cpu = (megabytes: number) => (of: Footprint) =>
    of.agent.cpu.find((one) => one.megabytes === megabytes)?.seconds;
  const rows = [
    row('CPU of `node -e 0`', 'ms', ({ starts }) => starts.node),
    row('CPU of `trigger-deploy --version`', 'ms', ({ starts }) => starts.version),
    row('CPU of `trigger-deploy --help`', 'ms', ({ starts }) => starts.help),
    row('CPU of `status` until its first request', 'ms', ({ firstCall }) => firstCall.status),
    row('CPU of `deploy` until its first request', 'ms', ({ firstCall }) => firstCall.deploy),
    row('agent: from exec to ready, wall time', 'ms', ({ agent }) => agent.ready),
    row('agent, idle: PSS', 'MB', ({ agent }) => agent.idle.pss),
    row('agent, idle: private dirty', 'MB', ({ agent }) => agent.idle.privateDirty),
    row('agent after 20 deployments of 10 MB: PSS', 'MB', (of) => after(10)(of)?.pss),
    row('agent after 20 more of 100 MB: PSS', 'MB', (of) => after(100)(of)?.pss),
    row('agent after 20 more of 100 MB: private dirty', 'MB', (of) => after(100)(of)?.privateDirty),
    row('agent after one more of 1 GB: PSS', 'MB', (of) => after(1000)(of)?.pss),
    row('agent: peak of resident memory', 'MB', (of) => after(1000)(of)?.peak),
    row('agent: CPU of a deployment of 10 MB', 's', cpu(10), 2),
    row('agent: CPU of a deployment of 100 MB', 's', cpu(100), 2),
    row('agent: CPU of a deployment of 1 GB', 's', cpu(1000), 2),
    row('agent: CPU of an idle hour', 's', ({ agent }) => agent.idleHour, 1),
  ];
  return `${measured(part)} 1 MB is 1,000,000 bytes.

${table(['what', 'now', ...(before === undefined ? [] : ['before'])], rows, 1)}`;
}

function callsTable(part: Part<Calls>, before: Calls | undefined): string {
  const { operations, instances } = part.figures;
  const of = (calls: Calls | undefined, service: string, operation: string) =>
    calls?.operations.find((one) => one.service === service && one.operation === operation)?.calls ?? 0;
  const rows = operations.map(({ service, operation, calls }) => [
    service.toUpperCase(),
    operation,
    String(calls),
    ...(before === undefined ? [] : [String(of(before, service, operation))]),
  ]);
  const total = (calls: Calls) => String(calls.operations.reduce((sum, one) => sum + one.calls, 0));
  rows.push(['', 'all', total(part.figures), ...(before === undefined ? [] : [total(before)])]);
  return `${measured(part)} One deployment to ${instances} instances, all programs together.

${table(['service', 'operation', 'calls', ...(before === undefined ? [] : ['before'])], rows, 2)}`;
}

/** Every command of every scenario, in the order of the page. */
function commandsOf(figures: ScaleFigures): [string, Measured][] {
  const { versions, history, status, crowd, services } = figures;
  const of = (scenario: string, commands: readonly Measured[]) =>
    commands.map((one): [string, Measured] => [scenario, one]);
  return [
    ...of('10,000 versions', versions),
    ...of('5,000 deployments', history),
    ...of('5,000 instances', status),
    ...of(`${crowd.agents} agents`, [crowd.deployment, crowd.rolling, crowd.status]),
    ...of(`${services.services} services`, [services.deployment]),
  ];
}

function scaleTable(part: Part<ScaleFigures>, before: ScaleFigures | undefined): string {
  const earlier = new Map(
    before && commandsOf(before).map(([scenario, one]) => [`${scenario} ${shortCommand(one)}`, one]),
  );
  const rows = commandsOf(part.figures).map(([scenario, one]) => [
    scenario,
    `\`${shortCommand(one)}\``,
    ...[one.firstOutputMs, one.wallMs, one.cpuMs].map((ms) => seconds(ms / 1000)),
    String(one.peakMb),
    String(one.allCalls),
    ...(before ? [seconds(earlierWall(earlier.get(`${scenario} ${shortCommand(one)}`)))] : []),
  ]);
  const head = ['of', 'command', 'first output, s', 'end, s', 'CPU, s', 'peak, MB', 'calls'];
  const { crowd, services } = part.figures;
  const { memory } = services;
  return `${measured(part)}

${table([...head, ...(before ? ['before, s'] : [])], rows, 2)}

${crowd.agents} simulated agents in a few processes: ${seconds(crowd.answeredMs / 1000)} s from the announcement until the reply queue had the
last ending. One agent with ${services.services} services: ready after ${services.readyMs} ms and ${services.startCalls} calls, then ${memory.pss.toFixed(0)} MB PSS,
${memory.privateDirty.toFixed(0)} MB private dirty, ${services.idleCalls} calls and ${seconds(services.idleCpu)} s of CPU in the first minute, in which it reads all desired states a second time; ${seconds(services.deploymentCpu)} s of CPU for a deployment
of one of them.`;
}

function consoleTable(part: Part<ConsoleFigures>, before: ConsoleFigures | undefined): string {
  const earlier = before && linesOf(before);
  const rows = linesOf(part.figures).map(({ what, bar, text, isMet }, i) => [
    ...[what, bar, isMet ? text : `${text}: not met`],
    ...(earlier ? [earlier[i]?.text ?? '–'] : []),
  ]);
  return `${measured(part)}

${table(['what', 'bar', 'now', ...(before ? ['before'] : [])], rows, 1)}`;
}

/** Without what differs in each run: the id of a deployment, a path. */
const shortCommand = ({ command }: Measured) =>
  command.replace(/ 01\w{24}/, ' ID').replace(/ \/\S+$/, ' FILE');

const earlierWall = (one: Measured | undefined) => (one === undefined ? undefined : one.wallMs / 1000);

const seconds = (value: number | undefined) =>
  value === undefined ? '–' : value.toFixed(value < 10 ? 2 : 1);
const ratioText = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(2));

/** A table of Markdown: the first `left` columns are text, the others numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[], left = 0): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i < left ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
