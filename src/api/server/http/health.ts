import type { Registry } from '../../../base/metrics.ts';
import type { PathHandler } from '../handler.ts';
import { methodNotAllowed } from '../status.ts';
import { jsonReply, type Reply, textReply } from './reply.ts';

export const SERVER_VERSION = { major: '1', minor: '35', gitVersion: 'v1.35.0+weft' } as const;

export interface HealthDeps {
  readonly metrics: Registry;
  /** Named checks; an Error text means not ready. */
  readonly checks: Readonly<Record<string, () => string | undefined>>;
  readonly builtAt: string;
  readonly platform: string;
}

/** /healthz, /livez, /readyz, /version and /metrics. */
export function healthPaths(deps: HealthDeps): PathHandler {
  return async (request) => {
    const [, first = '', check] = request.path.replace(/\/$/, '').split('/');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      if (['healthz', 'livez', 'readyz', 'version', 'metrics'].includes(first)) throw methodNotAllowed();
      return undefined;
    }
    switch (first) {
      case 'healthz':
      case 'livez':
        return health(first, check, { ping: () => undefined }, request.query);
      case 'readyz':
        return health(first, check, deps.checks, request.query);
      case 'version':
        if (request.method === 'HEAD') throw methodNotAllowed();
        return versionReply(deps);
      case 'metrics':
        return textReply(200, await deps.metrics.metrics(), deps.metrics.contentType);
      default:
        return undefined;
    }
  };
}

function health(
  name: string,
  only: string | undefined,
  checks: HealthDeps['checks'],
  query: URLSearchParams,
): Reply | undefined {
  const names = only ? [only] : Object.keys(checks);
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const one of names) {
    const check = checks[one];
    if (!check) return undefined;
    if (excluded.has(one)) continue;
    const problem = check();
    failed ||= problem !== undefined;
    lines.push(problem === undefined ? `[+]${one} ok` : `[-]${one} failed: ${problem}`);
  }
  if (failed) return textReply(500, `${lines.join('\n')}\n${name} check failed\n`);
  return textReply(200, query.has('verbose') ? `${lines.join('\n')}\n${name} check passed\n` : 'ok');
}

function versionReply(deps: HealthDeps): Reply {
  return jsonReply(200, {
    ...SERVER_VERSION,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: deps.builtAt,
    goVersion: '',
    compiler: 'typescript',
    platform: deps.platform,
  });
}
