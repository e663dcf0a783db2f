import { Command, type Option } from 'commander';
import { COMMANDS } from './command-table.ts';
import { EXIT_USAGE, ExitError, type CliContext, type RegisterCommand } from './context.ts';

interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly flag: string; readonly summary: string }[];
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const register: RegisterCommand = (program, context) => {
  program
    .command('completion')
    .description('shell completion for bash, zsh or fish')
    .argument('<shell>', SHELLS.join(' | '))
    .addHelpText(
      'after',
      '\nExamples:\n  weft completion bash > /etc/bash_completion.d/weft\n' +
        '  weft completion zsh > "${fpath[1]}/_weft"\n  weft completion fish > ~/.config/fish/completions/weft.fish\n',
    )
    .action(async (shell: string) => {
      const render = { bash: renderBash, zsh: renderZsh, fish: renderFish }[shell];
      if (!render) throw new ExitError(EXIT_USAGE, `completion ${shell}: use one of ${SHELLS.join(', ')}`);
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
    described.push({ name, summary, options: (command?.options ?? []).map(describeOption) });
  }
  return described;
}

function describeOption(option: Option): { flag: string; summary: string } {
  return { flag: option.long ?? option.short ?? '', summary: option.description };
}

function renderBash(commands: readonly Completed[]): string {
  const cases = commands.map(
    (each) => `    ${each.name}) words="${each.options.map((o) => o.flag).join(' ')}" ;;`,
  );
  return `# bash completion for weft
_weft() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map((each) => each.name).join(' ')}"
  else
    case \${COMP_WORDS[1]} in
${cases.map((line) => `  ${line}`).join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -F _weft weft
`;
}

function renderZsh(commands: readonly Completed[]): string {
  const names = commands.map((each) => `    '${each.name}:${quote(each.summary)}'`);
  const cases = commands.map((each) => {
    const options = each.options.map((o) => `'${o.flag}[${quote(o.summary).replace(/[[\]]/g, '')}]'`);
    return `    ${each.name}) _arguments ${[...options, "'*:file:_files'"].join(' ')} ;;`;
  });
  return `#compdef weft
_weft() {
  local -a commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
_weft "$@"
`;
}

function renderFish(commands: readonly Completed[]): string {
  const lines = commands.flatMap((each) => [
    `complete -c weft -n __fish_use_subcommand -a ${each.name} -d '${quote(each.summary)}'`,
    ...each.options.map(
      (o) =>
        `complete -c weft -n '__fish_seen_subcommand_from ${each.name}' -l ${o.flag.replace(/^-+/, '')} -d '${quote(o.summary)}'`,
    ),
  ]);
  return `# fish completion for weft\n${lines.join('\n')}\n`;
}

/** The summaries stand in single quotes in all three shells. */
function quote(text: string): string {
  return text.replaceAll("'", '’').replaceAll('\n', ' ');
}
