import { readdirSync, readFileSync } from 'node:fs';

/** A request that the source sends: the name of the SDK's package, and of the command. */
export interface SentCommand {
  readonly file: string;
  readonly client: string;
  readonly command: string;
}

/** Everything that the files below `directory` take from a client of the SDK to send requests with. */
export function sentCommands(directory: string): SentCommand[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .flatMap((entry) => commandsIn(`${entry.parentPath}/${entry.name}`));
}

function commandsIn(file: string): SentCommand[] {
  const source = readFileSync(file, 'utf8');
  const taken = takenNames(source).flatMap(({ client, names }) =>
    names.flatMap((name) => {
      const command = commandOf(name);
      return command === undefined ? [] : [{ file, client, command }];
    }),
  );
  const known = new Set(taken.map(({ command }) => command));
  for (const [, name = ''] of source.matchAll(/\bnew (?:\w+\.)?(\w+Command)\(/g)) {
    if (!known.has(name.slice(0, -'Command'.length))) {
      throw new Error(`${file}: import ${name} by its name from @aws-sdk/…, so that this test finds it`);
    }
  }
  return taken;
}

/** The values that are imported by name, at the top or lazily. */
function takenNames(source: string): { client: string; names: string[] }[] {
  const statics = source.matchAll(/^import \{([^}]*)\} from '@aws-sdk\/((?:client-|lib-)[\w-]+)'/gm);
  const lazy = source.matchAll(/\{([^{}]*)\} = await import\(\s*'@aws-sdk\/((?:client-|lib-)[\w-]+)'/g);
  return [...statics, ...lazy].map(([, names = '', client = '']) => ({
    client,
    names: names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => name.split(/ as |:/)[0]?.trim() ?? ''),
  }));
}

/** `XCommand`, `paginateX` and `waitUntil…` send requests; a client, an error or a type alone sends none. */
function commandOf(name: string): string | undefined {
  if (name === 'Upload') return name;
  if (/^waitUntil/.test(name)) throw new Error(`${name}: which request does it repeat?`);
  return /^(\w+)Command$/.exec(name)?.[1] ?? /^paginate(\w+)$/.exec(name)?.[1];
}
