import type { BlockSettings, ServerKey } from '../block-settings.ts';
import type { Directive, OpenPlugin, SetupContext } from '../plugin.ts';
import { suggestion, zonesOf } from './options.ts';
import type { BlockSyntax, ConfigFault, Line, Token } from './syntax.ts';

/** What opens one server block's chain: links in order of execution. */
export interface BlockPlan {
  readonly settings: BlockSettings;
  readonly links: readonly { readonly name: string; readonly open: OpenPlugin }[];
}

export interface CompileOptions {
  readonly directives: readonly Directive[];
  /** Directives that CoreDNS has and weft has not, with the way out. */
  readonly absent: Readonly<Record<string, string>>;
  /** Port of blocks that name none. */
  readonly dnsPort: number;
  readonly strict: boolean;
  /** Folder against which relative paths are read. */
  readonly root: string;
}

const SCHEME_PORTS: Readonly<Record<string, number>> = { tls: 853, https: 443 };

/** Gives the parsed blocks their meaning. Opens nothing; collects every fault. */
export function compileBlocks(
  blocks: readonly BlockSyntax[],
  options: CompileOptions,
): { readonly plans: readonly BlockPlan[]; readonly faults: readonly ConfigFault[] } {
  const faults: ConfigFault[] = [];
  const plans = blocks.map((block) => compileBlock(block, options, faults));
  for (const clash of clashes(blocks, plans)) faults.push(clash);
  return { plans, faults };
}

function compileBlock(block: BlockSyntax, options: CompileOptions, faults: ConfigFault[]): BlockPlan {
  const keys = block.keys.flatMap((token) => readKey(token, options, faults));
  const settings: BlockSettings = {
    keys,
    zones: [...new Set(keys.map((key) => key.zone))],
    bind: [],
    tls: undefined,
    filters: [],
    transport: {
      readMs: undefined,
      writeMs: undefined,
      idleMs: undefined,
      queriesMax: undefined,
      httpsConnections: undefined,
      sockets: undefined,
    },
    shed: undefined,
    tsigSecrets: [],
    debug: false,
    root: undefined,
    cluster: undefined,
  };
  const links: { name: string; open: OpenPlugin }[] = [];
  reportUnknown(block, options, faults);
  for (const directive of options.directives) {
    const stanzas = block.directives.filter((line) => line.name.text === directive.name);
    for (const again of directive.repeatable ? [] : stanzas.slice(1)) {
      faults.push({ position: again.name.position, message: `${directive.name} may stand once in a block` });
    }
    for (const stanza of directive.repeatable ? stanzas : stanzas.slice(0, 1)) {
      const open = directive.setup(setupContext(stanza, settings, options, faults));
      if (open) links.push({ name: directive.name, open });
    }
  }
  return { settings, links };
}

function setupContext(
  stanza: Line,
  block: BlockSettings,
  options: CompileOptions,
  faults: ConfigFault[],
): SetupContext {
  return {
    stanza,
    block,
    strict: options.strict,
    root: block.root ?? options.root,
    fault: (at, message) => void faults.push({ position: at.position, message }),
  };
}

function reportUnknown(block: BlockSyntax, options: CompileOptions, faults: ConfigFault[]): void {
  const names = options.directives.map((directive) => directive.name);
  for (const { name } of block.directives) {
    if (names.includes(name.text)) continue;
    const way = Object.hasOwn(options.absent, name.text) ? options.absent[name.text] : undefined;
    const message = way
      ? `directive "${name.text}" is not part of weft: ${way}`
      : `unknown directive "${name.text}"${suggestion(name.text, names)}`;
    faults.push({ position: name.position, message });
  }
}

function readKey(token: Token, options: CompileOptions, faults: ConfigFault[]): ServerKey[] {
  const key = splitKey(token.text);
  const message = faultOfKey(key);
  const zones = message === undefined ? zonesOf(key.zone) : undefined;
  if (!zones) {
    const reason = message ?? `"${key.zone}" is neither a zone name nor a CIDR`;
    faults.push({ position: token.position, message: reason });
    return [];
  }
  const scheme = key.scheme as ServerKey['scheme'];
  const port = key.port ?? SCHEME_PORTS[scheme] ?? options.dnsPort;
  return zones.map((zone) => ({ zone, scheme, port }));
}

interface KeyParts {
  readonly scheme: string;
  readonly zone: string;
  readonly port: number | undefined;
}

/** `[scheme://]zone[:port]`; an IPv6 CIDR has colons of its own, its port stands behind the prefix length. */
function splitKey(text: string): KeyParts {
  const [, scheme = 'dns', rest = ''] = /^(?:([a-z0-9]+):\/\/)?(.*)$/i.exec(text) ?? [];
  const [, bare = rest, port] = /^([^:]*|[^/]*\/\d+):(\d+)$/.exec(rest) ?? [];
  return {
    scheme: scheme.toLowerCase(),
    zone: bare || '.',
    port: port === undefined ? undefined : Number(port),
  };
}

function faultOfKey({ scheme, port = 0 }: KeyParts): string | undefined {
  if (!['dns', 'tls', 'https'].includes(scheme)) {
    return `"${scheme}://" is not served; use dns://, tls:// or https://`;
  }
  return port > 65_535 ? `port ${port} is out of range` : undefined;
}

/** The same zone on the same port twice is only allowed when views tell the blocks apart. */
function clashes(blocks: readonly BlockSyntax[], plans: readonly BlockPlan[]): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const seen = new Map<string, BlockSettings>();
  plans.forEach(({ settings }, i) => {
    for (const { zone, scheme, port } of settings.keys) {
      for (const host of settings.bind.length > 0 ? settings.bind.flatMap(({ hosts }) => hosts) : ['']) {
        const key = `${scheme}://${host} ${zone}:${port}`;
        const other = seen.get(key);
        const apart = settings.filters.length > 0 || (other?.filters.length ?? 0) > 0;
        const first = blocks[i]!.keys[0];
        if (other && !apart && first && port !== 0) {
          faults.push({
            position: first.position,
            message: `zone ${zone} is served twice on ${scheme}://:${port}`,
          });
        }
        seen.set(key, settings);
      }
    }
  });
  return faults;
}
