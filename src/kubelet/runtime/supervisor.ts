import { GIVEN_PIPE, type InputMode } from './container-input.ts';

/**
 * The supervisor: a shell that leads the container's session, runs the command and writes down how it ended,
 * so that the code is known even if no kubelet was there to see it (what containerd's shim is for).
 * - It catches signals (and so neither dies of a `kill 0` of its command nor passes on an ignored signal).
 * - Its own complaints about a signalled child go nowhere: descriptor 2 is handed to the command alone.
 * - It makes the container a likelier victim of the kernel's OOM killer than the kubelet.
 * - It holds descriptor 3, if it was given one, which keeps the container's input open without a kubelet. (A shell
 *   that redirects for a command of its own would move its descriptor meanwhile: hence the subshell.)
 * - An input that is given once is held by a process beside it, an orphan so that the command stays its one child,
 *   until the pipe `given` is opened to write or gone: a shell that waits for its command cannot let go of anything.
 * $1 is the attempt's folder, $2 the oom_score_adj, $3 the mode of the input, the rest the command, its first word an
 * absolute path.
 */
const SUPERVISOR = `trap : HUP INT QUIT USR1 USR2 TERM
exec 4>&2 2>/dev/null
folder=$1
echo "$2" >/proc/self/oom_score_adj
input=$3
shift 3
if [ "$input" = once ]; then
  ( (trap '' HUP INT QUIT USR1 USR2 TERM; : <"$folder/${GIVEN_PIPE}") >/dev/null 4>&- & )
  exec 3>&-
fi
(exec "$@" 2>&4 3>&- 4>&-)
code=$?
echo "$code" >"$folder/exit"
[ "$input" != once ] || [ ! -p "$folder/${GIVEN_PIPE}" ] || : <>"$folder/${GIVEN_PIPE}"
exit "$code"`;

export const SHELL = '/bin/sh';

export function supervisorArguments(options: {
  readonly attemptFolder: string;
  readonly oomScoreAdjust: number;
  readonly input: InputMode;
  readonly argv: readonly string[];
}): readonly string[] {
  return [
    '-c',
    SUPERVISOR,
    'weft-pod',
    options.attemptFolder,
    String(options.oomScoreAdjust),
    options.input,
    ...options.argv,
  ];
}

/**
 * Shells drop variables whose names they cannot use (dots, dashes), Kubernetes allows them: such pairs go
 * through env(1).
 */
export function throughShell(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const odd = Object.entries(env).filter(([name]) => !/^[A-Za-z_]\w*$/.test(name));
  if (odd.length === 0) return { argv, env };
  const rest = Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Za-z_]\w*$/.test(name)));
  return { argv: ['/usr/bin/env', ...odd.map(([name, value]) => `${name}=${value}`), ...argv], env: rest };
}
