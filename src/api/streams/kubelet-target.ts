import type { ContainerRef, LogOptions } from '../kinds/pod-streams.ts';

/** What a request to a kubelet asks for. */
export type KubeletTarget =
  | { readonly kind: 'logs'; readonly ref: ContainerRef; readonly options: LogOptions }
  | { readonly kind: 'exec' | 'attach'; readonly ref: ContainerRef; readonly options: StreamOptions }
  | { readonly kind: 'run'; readonly ref: ContainerRef; readonly command: readonly string[] }
  | { readonly kind: 'page'; readonly path: string }
  | { readonly kind: 'portForward'; readonly ref: ContainerRef; readonly port: number };

export interface StreamOptions {
  /** Empty for attach. */
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

const PORT_MAX = 65_535;

/**
 * Reads /containerLogs/NS/POD/CONTAINER, /exec/…, /attach/…, /run/… and /portForward/NS/POD?port=N with the query of the
 * original; any other path may be a page. Undefined = no such path, not with this method, or a query that says nothing.
 */
export function parseKubeletTarget(method: string, target: string): KubeletTarget | undefined {
  const url = URL.parse(target, 'https://kubelet');
  const parts = url && decodedParts(url.pathname);
  if (!url || !parts) return undefined;
  const [what = '', namespace = '', pod = '', container, ...rest] = parts;
  const methods = METHODS.get(what);
  if (!methods) return method === 'GET' ? { kind: 'page', path: url.pathname } : undefined;
  if (!methods.includes(method) || namespace === '' || pod === '' || rest.length > 0) return undefined;
  const ref = { namespace, pod, container };
  if (what === 'portForward') return portTarget(ref, url.searchParams);
  return container === undefined ? undefined : containerTarget(what, ref, url.searchParams);
}

const METHODS: ReadonlyMap<string, readonly string[]> = new Map([
  ['containerLogs', ['GET']],
  ['run', ['POST']],
  ['exec', ['GET', 'POST']],
  ['attach', ['GET', 'POST']],
  ['portForward', ['GET', 'POST']],
]);

function portTarget(ref: ContainerRef, query: URLSearchParams): KubeletTarget | undefined {
  const port = Number(query.get('port'));
  if (ref.container !== undefined || !Number.isInteger(port) || port < 1 || port > PORT_MAX) return undefined;
  return { kind: 'portForward', ref, port };
}

function containerTarget(what: string, ref: ContainerRef, query: URLSearchParams): KubeletTarget | undefined {
  if (what === 'containerLogs') return { kind: 'logs', ref, options: logOptions(query) };
  if (what === 'run') {
    const text = query.get('cmd') ?? '';
    return text === '' ? undefined : { kind: 'run', ref, command: text.split(' ') };
  }
  if (what !== 'exec' && what !== 'attach') return undefined;
  const command = what === 'exec' ? query.getAll('command') : [];
  if (what === 'exec' && command.length === 0) return undefined;
  return { kind: what, ref, options: { command, stdin: isSet(query, 'input'), tty: isSet(query, 'tty') } };
}

function decodedParts(pathname: string): string[] | undefined {
  try {
    return pathname.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return undefined; // not UTF-8 behind the percent signs
  }
}

function logOptions(query: URLSearchParams): LogOptions {
  const since = Date.parse(query.get('sinceTime') ?? '');
  return {
    follow: isSet(query, 'follow'),
    previous: isSet(query, 'previous'),
    timestamps: isSet(query, 'timestamps'),
    tailLines: countAt(query, 'tailLines'),
    limitBytes: countAt(query, 'limitBytes'),
    sinceTimeMs: Number.isNaN(since) ? undefined : since,
  };
}

function isSet(query: URLSearchParams, name: string): boolean {
  return query.get(name) === '1' || query.get(name) === 'true';
}

function countAt(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
