import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Fault, messageOf } from '../../src/base/fault.ts';
import { ABSENT_DIRECTIVES, PLUGIN_ORDER } from '../plugin-order.ts';
import { compileBlocks, type BlockPlan } from './compile.ts';
import type { Environment } from './lexer.ts';
import { parseCorefile, type ReadFiles } from './parser.ts';
import { formatFault, type BlockSyntax, type ConfigFault } from './syntax.ts';

/** Where the configuration is: a file that can be read again, or a text. */
export type CorefileSource = { readonly path: string } | { readonly text: string; readonly name?: string };

export interface LoadOptions {
  readonly dnsPort: number;
  readonly strict: boolean;
  readonly env: Environment;
}

export interface LoadedCorefile {
  readonly plans: readonly BlockPlan[];
  readonly blocks: readonly BlockSyntax[];
  /** Of everything that was read, imports included, in hexadecimal: what `reload` compares. */
  readonly sha512: string;
}

/** Code COREFILE_INVALID; the message lists every fault, one a line. */
export class CorefileFault extends Fault {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super('COREFILE_INVALID', faults.map(formatFault).join('\n'));
    this.faults = faults;
  }
}

/** What kubeadm installs, kept here for `weft dns` without --conf. */
export const DEFAULT_COREFILE = `. {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
`;

/** Reads, parses and compiles; opens nothing. Throws CorefileFault with every fault, or Fault COREFILE_UNREADABLE. */
export function loadCorefile(source: CorefileSource, options: LoadOptions): LoadedCorefile {
  const name = 'path' in source ? source.path : (source.name ?? 'Corefile');
  const text = 'path' in source ? readText(source.path) : source.text;
  const texts = [text];
  const readFiles: ReadFiles = (pattern, from) => {
    const paths = globSync(resolve(dirname(from), pattern)).sort();
    const files = paths.map((path) => ({ path, text: readFileSync(path, 'utf8') }));
    texts.push(...files.map((file) => file.text));
    return files;
  };
  const parsed = parseCorefile(text, name, { env: options.env, readFiles });
  const root = 'path' in source ? dirname(resolve(source.path)) : '.';
  const compiled = compileBlocks(parsed.blocks, {
    directives: PLUGIN_ORDER,
    absent: ABSENT_DIRECTIVES,
    dnsPort: options.dnsPort,
    strict: options.strict,
    root,
  });
  const faults = [...parsed.faults, ...compiled.faults];
  if (faults.length === 0 && parsed.blocks.length === 0) {
    faults.push({ position: { file: name, line: 1, column: 1 }, message: 'there is no server block' });
  }
  if (faults.length > 0) throw new CorefileFault(faults.sort(byPosition));
  return {
    plans: compiled.plans,
    blocks: parsed.blocks,
    sha512: createHash('sha512').update(texts.join('\0')).digest('hex'),
  };
}

function byPosition({ position: a }: ConfigFault, { position: b }: ConfigFault): number {
  return a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Fault('COREFILE_UNREADABLE', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
