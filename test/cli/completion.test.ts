import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/source-files.ts';

const scripts = new Map<string, string>();

function script(shell: string): string {
  const made =
    scripts.get(shell) ?? spawnSync(`${ROOT}bin/weft`, ['completion', shell], { encoding: 'utf8' }).stdout;
  scripts.set(shell, made);
  return made;
}

/** What bash offers for the last word. */
function offered(...words: string[]): string[] {
  const ask = `${script('bash')}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync('bash', ['-c', ask, '_', ...words], { encoding: 'utf8', cwd: ROOT });
  return stdout.trim().split('\n');
}

describe('shell completion', () => {
  it.each([
    ['commands', ['weft', 'in'], ['ingress']],
    ['commands after help', ['weft', 'help', 'comp'], ['completion']],
    ['options', ['weft', 'resolve', '--ndo'], ['--ndots']],
    ['subcommands', ['weft', 'store', ''], ['check', 'export', 'import', 'compact', 'backup']],
    ['options of subcommands', ['weft', 'ingress', 'explain', '--bat'], ['--batch']],
    ['no options of the parent there', ['weft', 'ingress', 'check', '--acme-e'], ['']],
    ['values of options', ['weft', 'up', '--proxy-mode', 'i'], ['iptables', 'ipvs']],
    ['values of options of subcommands', ['weft', 'ingress', 'diff', '--output', ''], ['table', 'json']],
    ['arguments', ['weft', 'completion', ''], ['bash', 'zsh', 'fish']],
    ['else files', ['weft', 'dns', '--conf', 'package.j'], ['package.json']],
  ])('%s', (_name, words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  it('tells the other shells of the same', () => {
    expect(script('zsh')).toContain("'1:word:(explain check diff)'");
    expect(script('fish')).toContain(
      "'__fish_seen_subcommand_from ingress; and __fish_seen_subcommand_from diff' -l exit-code",
    );
  });
});
