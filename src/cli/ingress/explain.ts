import type { Command } from 'commander';
import { type Explanation, explanationText } from '../../../ingress/explain/explanation.ts';
import { type AskedRequest, readQuestion } from '../../../ingress/explain/question.ts';
import type { StillIngress } from '../../../ingress/explain/still-ingress.ts';
import { messageOf } from '../../base/fault.ts';
import { type CliContext, EXIT_USAGE, ExitError } from '../context.ts';
import { repeated } from '../flags.ts';
import { addObjectFlags, type IngressObjectFlags } from './flags.ts';
import { loadIngress } from './still.ts';
import { readBatch } from '../read-batch.ts';

interface ExplainFlags extends IngressObjectFlags {
  readonly header?: readonly string[];
  readonly client?: string;
  readonly json?: boolean;
  readonly batch?: string;
}

const EXAMPLES = `
Examples:
  weft ingress explain GET https://shop.example/cart --from manifests/
  weft ingress explain GET http://shop.example/ -H 'X-Canary: always' --kubeconfig ~/.kube/config
  weft ingress explain --from manifests/ --batch questions.jsonl

A question of --batch is one JSON object a line: {"method":"GET","url":"http://shop.example/","headers":{},
"clientIp":"192.0.2.1"}, or with "host" and "path" (and "tls":{"sni":"shop.example"}) in the place of "url".`;

export function addExplain(parent: Command, context: CliContext): void {
  const command = parent
    .command('explain')
    .description('what would become of a request, step by step, and why each other rule lost')
    .argument('[method]', 'GET, POST, ...')
    .argument('[url]', 'http://HOST/PATH or https://HOST/PATH')
    .option('-H, --header <field>', 'a header field of the request (repeatable)', repeated)
    .option('--client <address>', 'address of the client', '127.0.0.1')
    .option('--json', 'print the explanation as JSON')
    .option('--batch <file>', 'one JSON question a line, one JSON answer a line; - is standard input');
  addObjectFlags(command)
    .addHelpText('after', EXAMPLES)
    .action((method: string | undefined, url: string | undefined, flags: ExplainFlags) =>
      run({ method, url }, flags, context),
    );
}

async function run(
  { method, url }: { method: string | undefined; url: string | undefined },
  flags: ExplainFlags,
  context: CliContext,
): Promise<void> {
  if ((url === undefined) === (flags.batch === undefined))
    throw new ExitError(EXIT_USAGE, 'give either METHOD and URL, or --batch');
  if (flags.batch !== undefined) {
    const questions = await readBatch(flags.batch, context);
    using loaded = await loadIngress(context, flags);
    for (const line of questions.split('\n'))
      if (line.trim() !== '') context.stdout.write(`${JSON.stringify(await answer(loaded.still, line))}\n`);
    return;
  }
  const asked: AskedRequest = {
    method: method!,
    url: url!,
    headers: Object.fromEntries((flags.header ?? []).map(readHeader)),
    ...(flags.client !== undefined && { clientIp: flags.client }),
  };
  const question = readQuestion(asked);
  if (typeof question === 'string') throw new ExitError(EXIT_USAGE, question);
  using loaded = await loadIngress(context, flags);
  const explanation = await loaded.still.explain(question);
  context.stdout.write(
    flags.json ? `${JSON.stringify(explanation, undefined, 2)}\n` : `${explanationText(explanation)}\n`,
  );
}

/** A question that cannot be read gets an answer that says so; the next ones are answered all the same. */
async function answer(still: StillIngress, line: string): Promise<Explanation | { error: string }> {
  try {
    const question = readQuestion(JSON.parse(line) as AskedRequest);
    return typeof question === 'string' ? { error: question } : await still.explain(question);
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function readHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new ExitError(EXIT_USAGE, `-H ${JSON.stringify(text)}: use 'Name: value'`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}
