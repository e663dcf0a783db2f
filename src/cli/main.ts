import { fstatSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import {
  createLogger,
  formatJournal,
  formatJson,
  formatText,
  type LogLevel,
  type LogSink,
} from '../base/log.ts';
import { messageOf } from '../base/fault.ts';
import { COMMANDS } from './command-table.ts';
import { keepCompiledCode } from './compile-cache.ts';
import { packageVersion } from './package-version.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from './context.ts';

const LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug'];
const FORMATS: readonly string[] = ['text', 'json', 'journal'];

function logSink(format: string): LogSink {
  const line = format === 'json' ? formatJson : format === 'journal' ? formatJournal : formatText;
  return (record) => void process.stderr.write(`${line(record, Date.now())}\n`);
}

/** systemd says by JOURNAL_STREAM which file its journal reads; ours only if it is standard error (systemd.exec(5)). */
function readByJournal(): boolean {
  const stream = process.env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(2);
  return stream === `${dev}:${ino}`;
}

/** Reads --log-level and --log-format before the commands are known: they hold for all of them. */
function takeLogFlags(args: string[]): { level: LogLevel; format: string; rest: string[] } {
  let level = process.env['WEFT_LOG_LEVEL'] ?? 'warn';
  let format = process.env['WEFT_LOG_FORMAT'] ?? (readByJournal() ? 'journal' : 'text');
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [flag, inline] = args[i]!.split('=', 2) as [string, string?];
    if (flag === '--log-level') level = inline ?? args[++i] ?? '';
    else if (flag === '--log-format') format = inline ?? args[++i] ?? '';
    else rest.push(args[i]!);
  }
  if (!LEVELS.includes(level))
    throw new ExitError(EXIT_USAGE, `--log-level ${level}: use one of ${LEVELS.join(', ')}`);
  if (!FORMATS.includes(format))
    throw new ExitError(EXIT_USAGE, `--log-format ${format}: use one of ${FORMATS.join(', ')}`);
  return { level: level as LogLevel, format, rest };
}

function createContext(level: LogLevel, format: string): CliContext {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(128 + (signal === 'SIGINT' ? 2 : 15));
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }
  return {
    stdout: {
      write: (text) => void process.stdout.write(text),
      isTTY: process.stdout.isTTY === true,
      columns: process.stdout.columns ?? 120,
    },
    stderr: { write: (text) => void process.stderr.write(text), isTTY: process.stderr.isTTY === true },
    stdin: process.stdin,
    env: process.env,
    log: createLogger(logSink(format), level),
    stop: stop.signal,
    onReload: (callback) => {
      process.on('SIGHUP', callback);
      return { [Symbol.dispose]: () => void process.off('SIGHUP', callback) };
    },
  };
}

/** The command whose options are needed: also for `weft help COMMAND`. */
function wantedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}

async function buildProgram(context: CliContext, wanted: string | undefined): Promise<Command> {
  const program = new Command('weft')
    .description(
      'Kubernetes service networking for Linux hosts: cluster DNS, service proxy, ingress, and a lean API.',
    )
    .version(packageVersion())
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .addHelpText(
      'after',
      '\nEvery command takes --log-level error|warn|info|debug and --log-format text|json|journal.\n' +
        '\nExamples:\n  weft up --apply examples/shop     run a whole application on this host\n' +
        '  weft dns --conf Corefile --from manifests/\n  weft trace --from default/web --to http://shop.localhost/\n',
    );
  const entry = COMMANDS.find((command) => command.name === wanted);
  if (entry) (await entry.load()).register(program, context);
  for (const { name, summary } of COMMANDS) {
    if (!program.commands.some((command) => command.name() === name))
      program.command(name).description(summary);
  }
  for (const command of program.commands) command.exitOverride();
  return program;
}

async function main(): Promise<number> {
  try {
    const { level, format, rest } = takeLogFlags(process.argv.slice(2));
    const context = createContext(level, format);
    const wanted = wantedCommand(rest);
    keepCompiledCode(wanted, process.env);
    const program = await buildProgram(context, wanted);
    if (rest.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync(rest, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    process.stderr.write(`weft: ${messageOf(error)}\n`);
    return error instanceof ExitError ? error.exitCode : EXIT_FAILURE;
  }
}

const exitCode = await main();
// a pipe may still hold output: leave when it is written
process.stdout.write('', () => process.exit(exitCode));
