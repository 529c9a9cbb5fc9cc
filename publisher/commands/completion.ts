/** What a shell offers for the value of an option, or for an argument: these words, paths, or nothing. */
export type Completes = readonly string[] | 'file' | 'directory' | undefined;

/** A command as a shell completes it. The command that deploys has an empty name, because it is typed without one. */
export interface CompletedCommand {
  name: string;
  summary: string;
  options: { forms: readonly string[]; help: string; takesValue: boolean; completes: Completes }[];
  /** The arguments in order; with `repeats` the last one may be given several times. */
  arguments: Completes[];
  repeats: boolean;
}

export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * `trigger-deploy completion SHELL`: a script that completes commands, options and their values. The script itself
 * starts no program.
 */
export function completion(shell: Shell, commands: readonly CompletedCommand[]): string {
  return shell === 'bash' ? bash(commands) : zsh(commands);
}

const optionsOf = (commands: readonly CompletedCommand[]) => commands.flatMap((command) => command.options);
const formsOf = (command: CompletedCommand) => command.options.flatMap(({ forms }) => forms);
const nameOr = (command: CompletedCommand) => command.name || '*';
const named = (commands: readonly CompletedCommand[]) => commands.filter(({ name }) => name !== '');
/** The commands by name. The one with the empty name is last, because its case `*` matches any other word. */
const byName = (commands: readonly CompletedCommand[]) => [
  ...named(commands),
  ...commands.filter(({ name }) => name === ''),
];
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The forms of all options that take a value, once each, as a shell pattern. */
const valuePattern = (commands: readonly CompletedCommand[]) => {
  const taking = optionsOf(commands).filter(({ takesValue }) => takesValue);
  return [...new Set(taking.flatMap(({ forms }) => forms))].sort().join('|');
};

/** One case for each option whose value can be completed. */
function valueCases(
  commands: readonly CompletedCommand[],
  offer: (completes: Completes) => string,
): string[] {
  const lines = optionsOf(commands)
    .filter(({ completes }) => completes !== undefined)
    .map(({ forms, completes }) => `    (${forms.join('|')}) ${offer(completes)}; return ;;`);
  return [...new Set(lines)];
}

/** One case for each argument that can be completed. Its pattern is `COMMAND:COUNT`: COUNT arguments come before it. */
function argumentCases(
  commands: readonly CompletedCommand[],
  offer: (completes: Completes) => string,
): string[] {
  return named(commands).flatMap(({ name, arguments: all, repeats }) =>
    all.flatMap((completes, i) => {
      if (completes === undefined) return [];
      const cases = [`    (${name}:${i}) ${offer(completes)} ;;`];
      if (repeats && i === all.length - 1) cases.push(`    (${name}:*) ${offer(completes)} ;;`);
      // The arguments before get empty cases, so that `COMMAND:*` does not match them.
      const before = all.slice(0, i).map((_, j) => `    (${name}:${j}) ;;`);
      return [...before, ...cases];
    }),
  );
}

function bash(commands: readonly CompletedCommand[]): string {
  const offer = (completes: Completes) => {
    if (completes === 'file') return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")';
    if (completes === 'directory')
      return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur")';
    return `mapfile -t COMPREPLY < <(compgen -W ${quoted((completes ?? []).join(' '))} -- "$cur")`;
  };
  return `# bash completion for trigger-deploy, written by: trigger-deploy completion bash
_trigger_deploy() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' options
  local -i i=1 count=0
  COMPREPLY=()
  # bash splits --env=dev into three words.
  if [[ $cur == '=' ]]; then cur=''
  elif [[ $previous == '=' ]]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  while ((i < COMP_CWORD)); do
    case "\${COMP_WORDS[i]}" in
      (${valuePattern(commands)})
        if [[ \${COMP_WORDS[i+1]} == '=' ]]; then i+=1; fi
        i+=1 ;;
      (-*) ;;
      (*) if [[ -z $command ]]; then command="\${COMP_WORDS[i]}"; else count+=1; fi ;;
    esac
    i+=1
  done
  case "$previous" in
${valueCases(commands, offer).join('\n')}
    (${valuePattern(commands)}) return ;;
  esac
  case "$command" in
${byName(commands)
  .map((command) => `    (${nameOr(command)}) options=${quoted(formsOf(command).join(' '))} ;;`)
  .join('\n')}
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    return
  fi
  if [[ -z $command ]]; then
    ${offer(named(commands).map(({ name }) => name))}
    return
  fi
  case "$command:$count" in
${argumentCases(commands, offer).join('\n')}
  esac
}
complete -F _trigger_deploy trigger-deploy
`;
}

function zsh(commands: readonly CompletedCommand[]): string {
  const offer = (completes: Completes) => {
    if (completes === 'file') return '_files';
    if (completes === 'directory') return '_files -/';
    return `compadd -- ${(completes ?? []).map(quoted).join(' ')}`;
  };
  const described = (name: string, help: string) => quoted(`${name.replaceAll(':', '\\:')}:${help}`);
  const options = ({ options: all }: CompletedCommand) =>
    all.flatMap(({ forms, help }) => forms.map((form) => described(form, help))).join(' ');
  return `#compdef trigger-deploy
# zsh completion for trigger-deploy, written by: trigger-deploy completion zsh
_trigger-deploy() {
  local previous="\${words[CURRENT-1]}" command=''
  local -i i=2 count=0
  local -a options commands
  while (( i < CURRENT )); do
    case "\${words[i]}" in
      (${valuePattern(commands)}) (( i += 1 )) ;;
      (-*) ;;
      (*) if [[ -z $command ]]; then command="\${words[i]}"; else (( count += 1 )); fi ;;
    esac
    (( i += 1 ))
  done
  case "$previous" in
${valueCases(commands, offer).join('\n')}
    (${valuePattern(commands)}) return 1 ;;
  esac
  case "$command" in
${byName(commands)
  .map((command) => `    (${nameOr(command)}) options=(${options(command)}) ;;`)
  .join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe -o option options
    return
  fi
  if [[ -z $command ]]; then
    commands=(${named(commands)
      .map(({ name, summary }) => described(name, summary))
      .join(' ')})
    _describe command commands
    return
  fi
  case "$command:$count" in
${argumentCases(commands, offer).join('\n')}
  esac
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _trigger-deploy "$@"; else compdef _trigger-deploy trigger-deploy; fi
`;
}
