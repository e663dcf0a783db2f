import { Argument, Command } from 'commander';
import { COMMANDS } from './command-table.ts';
import type { CliContext, RegisterCommand } from './context.ts';

/** What may follow a command: its own words (subcommands and fixed arguments), and its options. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly words: readonly string[];
  readonly options: readonly CompletedOption[];
  readonly subcommands: readonly Completed[];
}

interface CompletedOption {
  readonly flag: string;
  readonly summary: string;
  /** All values it takes, when they are few and fixed. */
  readonly choices: readonly string[];
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const register: RegisterCommand = (program, context) => {
  program
    .command('completion')
    .description('shell completion for bash, zsh or fish')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      '\nExamples:\n  weft completion bash > /etc/bash_completion.d/weft\n' +
        '  weft completion zsh > "${fpath[1]}/_weft"\n  weft completion fish > ~/.config/fish/completions/weft.fish\n',
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const render = { bash: renderBash, zsh: renderZsh, fish: renderFish }[shell];
      context.stdout.write(render(await describeCommands(context)));
    });
};

/** Asks each command for its options by registering it on a program that never runs. */
async function describeCommands(context: CliContext): Promise<readonly Completed[]> {
  const described: Completed[] = [];
  for (const { name, summary, load } of COMMANDS) {
    const scratch = new Command();
    (await load()).register(scratch, context);
    const command = scratch.commands.find((each) => each.name() === name);
    if (command) described.push(describe(command, summary));
  }
  return described;
}

function describe(command: Command, summary = command.description()): Completed {
  const subcommands = command.commands.map((each) => describe(each));
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  return {
    name: command.name(),
    summary,
    words: [...subcommands.map(({ name }) => name), ...choices],
    options: command.options.map((option) => ({
      flag: option.long ?? option.short ?? '',
      summary: option.description,
      choices: option.argChoices ?? [],
    })),
    subcommands,
  };
}

/** Each command and subcommand by the words that lead to it: `ingress`, `ingress explain`. */
function byPath(commands: readonly Completed[], before = ''): readonly (readonly [string, Completed])[] {
  return commands.flatMap((each) => {
    const path = `${before}${each.name}`;
    return [[path, each] as const, ...byPath(each.subcommands, `${path} `)];
  });
}

function renderBash(commands: readonly Completed[]): string {
  const paths = byPath(commands);
  const words = paths.map(
    ([path, { words, options }]) =>
      `    '${path}') words="${[...words, ...options.map(({ flag }) => flag)].join(' ')}" ;;`,
  );
  const values = paths.flatMap(([path, { options }]) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ flag, choices }) => `    '${path} ${flag}') words="${choices.join(' ')}" ;;`),
  );
  return `# bash completion for weft
_weft() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= path=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map((each) => each.name).join(' ')} help" -- "$word"))
    return
  fi
  case "$path \${COMP_WORDS[2]}" in
    ${paths
      .filter(([path]) => path.includes(' '))
      .map(([path]) => `'${path}'`)
      .join('|')}) [ "$COMP_CWORD" -eq 2 ] || path="$path \${COMP_WORDS[2]}" ;;
  esac
  case $path in
    help) words="${commands.map((each) => each.name).join(' ')}" ;;
${words.join('\n')}
  esac
  case "$path $before" in
${values.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _weft weft
`;
}

function renderZsh(commands: readonly Completed[]): string {
  const names = commands.map((each) => `    '${each.name}:${quote(each.summary)}'`);
  return `#compdef weft
_weft() {
  local -a commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
${zshCases(commands, '  ')}
}
_weft "$@"
`;
}

/** Takes the first word away, so that the words of the command it names are what _arguments sees. */
function zshCases(commands: readonly Completed[], indent: string): string {
  const cases = commands.map((command) => {
    const { name, subcommands } = command;
    const deeper =
      subcommands.length > 0
        ? `if (( CURRENT > 2 )); then\n${zshCases(subcommands, `${indent}  `)}\n${indent}  fi\n${indent}  `
        : '';
    return `${indent}${name}) shift words; (( CURRENT-- ))\n${indent}  ${deeper}${zshArguments(command)}; return ;;`;
  });
  return `${indent}case $words[2] in\n${cases.join('\n')}\n${indent}esac`;
}

function zshArguments({ words, options }: Completed): string {
  const flags = options.map(({ flag, summary, choices }) => {
    const values = choices.length > 0 ? `:value:(${choices.join(' ')})` : '';
    return `'${flag}[${quote(summary).replace(/[[\]]/g, '')}]${values}'`;
  });
  const fixed = words.length > 0 ? [`'1:word:(${words.join(' ')})'`] : [];
  return `_arguments ${[...flags, ...fixed, "'*:file:_files'"].join(' ')}`;
}

function renderFish(commands: readonly Completed[]): string {
  const lines = commands.flatMap((each) => [
    `complete -c weft -n __fish_use_subcommand -a ${each.name} -d '${quote(each.summary)}'`,
    ...fishLines(each, `__fish_seen_subcommand_from ${each.name}`),
  ]);
  return `# fish completion for weft\n${lines.join('\n')}\n`;
}

function fishLines({ words, options, subcommands }: Completed, seen: string): string[] {
  const inner = subcommands.map(({ name }) => name).join(' ');
  const first = inner === '' ? seen : `${seen}; and not __fish_seen_subcommand_from ${inner}`;
  const fixed = words.map((word) => {
    const summary = subcommands.find(({ name }) => name === word)?.summary ?? '';
    return `complete -c weft -n '${first}' -a ${word} -d '${quote(summary)}'`;
  });
  const flags = options.map(({ flag, summary, choices }) => {
    const values = choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : '';
    return `complete -c weft -n '${first}' -l ${flag.replace(/^-+/, '')}${values} -d '${quote(summary)}'`;
  });
  const deeper = subcommands.flatMap((each) =>
    fishLines(each, `${seen}; and __fish_seen_subcommand_from ${each.name}`),
  );
  return [...fixed, ...flags, ...deeper];
}

/** The summaries stand in single quotes in all three shells. */
function quote(text: string): string {
  return text.replaceAll("'", '’').replaceAll('\n', ' ');
}
