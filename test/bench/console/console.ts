import { measurePage, type PageFigures } from './page.ts';
import { measureServer, type ServerFigures } from './server.ts';

/** The console: its page in Chromium, and its server over the embedded cloud. */

export interface ConsoleFigures {
  page: PageFigures;
  server: ServerFigures;
}

/** The programs of dist/ must be built; needs Debian's chromium. */
export async function measureConsole(say: (line: string) => void): Promise<ConsoleFigures> {
  const server = await measureServer(say);
  return { page: await measurePage(say), server };
}

/** A line of the table: what, the bar, and the figure. */
export interface Line {
  what: string;
  bar: string;
  text: string;
  isMet: boolean;
}

/** The lines of docs/PERFORMANCE.md. Pure. */
export function linesOf({ page, server }: ConsoleFigures): Line[] {
  const most = (what: string, value: number, bar: number, unit: string): Line => ({
    ...{ what, bar: `≤ ${bar.toLocaleString('en-US')}${unit}`, isMet: value <= bar },
    text: `${value.toLocaleString('en-US')}${unit}`,
  });
  const { services, environments, instances, agents } = server;
  const cells = `${services} services × ${environments} environments`;
  return [
    most(`first paint of the overview, ${cells}: CPU`, page.overview.cpuMs, 500, ' ms'),
    most('the same, by the clock', page.overview.wallMs, 1000, ' ms'),
    most('first paint of a deployment of 500 instances: CPU', page.deployment.cpuMs, 500, ' ms'),
    most('the same, by the clock', page.deployment.wallMs, 1000, ' ms'),
    ...page.storms.flatMap((storm) => [
      most(
        `${storm.instances.toLocaleString('en-US')} instances, ${storm.events.toLocaleString('en-US')} events/s: CPU a second`,
        ...([storm.cpuMs, storm.instances > 500 ? 450 : 300] as const),
        ' ms',
      ),
      most('the same: frames, p95', storm.frameP95, 33, ' ms'),
      most('the same: event until painted, p95', storm.paintedP95, 250, ' ms'),
      most('the same: longest task, by the clock', storm.longestTask, 100, ' ms'),
    ]),
    most('layouts of a page where nothing changes, in 10 s', page.idleLayouts, 0, ''),
    most(`the server's first snapshot of ${cells}, ${instances} instances`, server.coldMs, 3000, ' ms'),
    most('its next snapshot', server.nextMs, 500, ' ms'),
    most('requests to AWS a minute with an open overview', server.requests, 2400, ''),
    most(`button until announcement, ${agents} agents`, server.announcedMs, 400, ' ms'),
    most('script, compressed', page.scriptKb, 45, ' KB'),
    most('styles, compressed', page.stylesKb, 8, ' KB'),
  ];
}
