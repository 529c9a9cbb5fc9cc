import { envName } from '../../shared/names.ts';
import { flag, list, text, value } from './option-kinds.ts';
import { type Surroundings, said, verb } from './verb.ts';

/** The verb that serves the page. It loads the console when it runs. */

const DEFAULT_PORT = 7117;

const port = text
  .regex(/^\d{1,5}$/, { error: 'expected a port, 0 to 65535' })
  .transform(Number)
  .refine((number) => number <= 65_535, { error: 'expected a port, 0 to 65535' });
const environments = text.refine((typed) => typed.split(',').every((one) => envName.safeParse(one).success), {
  error: 'expected names of environments, such as dev,stg',
});
const hosts = text
  .regex(/^[A-Za-z0-9.-]{1,253}$/, { error: 'expected the name of a host, such as build.acme.lan' })
  .array()
  .optional();

const options = {
  env: value(
    environments.optional(),
    'Only these environments, such as dev,stg (default: all of the config)',
    {
      alias: 'e',
    },
  ),
  port: value(
    port.default(DEFAULT_PORT),
    `The port on 127.0.0.1 and ::1; 0 takes any free one (default: ${DEFAULT_PORT})`,
  ),
  listen: value(
    text.optional(),
    'Listen on ADDR:PORT or on a unix socket instead; elsewhere than loopback only with console.trust (default: loopback)',
  ),
  readOnly: flag('Change nothing, and do not ask the fleet'),
  allowHost: list(hosts, 'Another name that the address of the page may have (repeatable) (default: none)'),
  noOpen: flag('Do not open a browser'),
} as const;

export const consoleVerbs = {
  console: verb({
    usage: '',
    summary: 'Serve a page for the browser: what runs where; deploy, pause, follow',
    group: 'look',
    options,
    examples: [
      ['$0 console', 'prints the address of the page, and opens it'],
      ['$0 console --read-only --env prd', 'for a screen on the wall'],
    ],
    notes:
      'On loopback the address has a key that is good for one use. Ctrl-C ends the page and no deployment: trigger-deploy resume continues one in waves.',
    looks: true,
    refuse: ({ listen, port }) =>
      listen !== undefined && port !== DEFAULT_PORT ? '--listen and --port cannot be combined' : undefined,
    alone: (values, around) => serve(values, around),
  }),
};

interface Values {
  env?: string | undefined;
  port: number;
  listen?: string | undefined;
  readOnly: boolean;
  allowHost?: readonly string[] | undefined;
  noOpen: boolean;
}

async function serve(
  { env, port, listen, readOnly, allowHost = [], noOpen }: Values,
  { openConsolePorts, config: source, format, printLines, printThing, stop }: Surroundings,
) {
  const [
    { runConsole },
    { listenPlaceOf },
    { openBrowser },
    { loadConsole },
    { originOf },
    { complain },
    version,
  ] = await Promise.all([
    import('../console/console.ts'),
    import('../console/http/listen.ts'),
    import('../console/http/open-browser.ts'),
    import('../config/load-console.ts'),
    import('../session.ts'),
    import('./standard-output.ts'),
    import('../../package.json', { with: { type: 'json' } }),
  ]);
  if (openConsolePorts === undefined) throw new Error('a page cannot start a console');
  const { user, host } = originOf(process.env);
  const tell = (text: string) => complain([text]);
  const opens = !noOpen && listen === undefined && process.stdout.isTTY === true;
  const opened: Promise<() => Promise<void>>[] = [];
  await runConsole({
    ...{
      ports: await openConsolePorts(),
      config: await loadConsole(source),
      version: version.default.version,
    },
    ...{ port, readOnly, allowHosts: allowHost, stop, tell },
    place: listen === undefined ? undefined : listenPlaceOf(listen),
    only: env?.split(','),
    person: { name: `${user}@${host}`, via: host },
    announce(address) {
      if (format === 'json') printThing({ type: 'console', address });
      else printLines([address]);
      if (!opens) return;
      const opening = openBrowser(address, (why) =>
        tell(`no browser was opened (${why}): open the address yourself`),
      );
      opening.catch(() => tell('no browser was opened: open the address yourself'));
      opened.push(opening);
    },
    log: (line) => complain([line]),
  });
  // Each has a key, also one that was just written when the console had to end.
  for (const one of await Promise.allSettled(opened)) if (one.status === 'fulfilled') await one.value();
  return said({ type: 'console', ended: true }, () => ['the console has ended']);
}
