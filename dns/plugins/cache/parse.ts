import {
  expectArgs,
  parseDurationMs,
  readDurationMs,
  readInteger,
  readOptions,
  readWord,
  readZones,
  zonesOrBlock,
} from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';

export interface KindOptions {
  readonly capacity: number;
  readonly maxTtlSeconds: number;
  readonly minTtlSeconds: number;
}

export interface CacheOptions {
  readonly zones: readonly string[];
  readonly success: KindOptions;
  readonly denial: KindOptions;
  readonly servfailMs: number;
  readonly prefetch:
    | { readonly amount: number; readonly durationMs: number; readonly percentage: number }
    | undefined;
  readonly staleMs: number;
  readonly staleMode: 'immediate' | 'verify';
  readonly staleVerifyMs: number;
  /** Ttl of stale answers, seconds. */
  readonly staleTtlSeconds: number;
  /** A failed refresh is not repeated before this. */
  readonly staleRecheckMs: number;
  readonly stalePreferPositive: boolean;
  readonly disabledSuccess: readonly string[];
  readonly disabledDenial: readonly string[];
  readonly keepTtl: boolean;
}

const CAPACITY = 9984;
const SHARDS = 256;
const CAPACITY_MIN = 1024;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads `cache [TTL] [ZONES...] { options }`. */
export function parseCache(context: SetupContext): CacheOptions {
  const { args } = context.stanza;
  const hasTtl = args[0] !== undefined && /^[+-]?\d+$/.test(args[0].text);
  const ttl = hasTtl ? readInteger(context, args[0]!, 1, 2 ** 31) : undefined;
  const options: Mutable<CacheOptions> = {
    zones: zonesOrBlock(context, hasTtl ? args.slice(1) : args),
    success: { capacity: CAPACITY, maxTtlSeconds: ttl ?? 3600, minTtlSeconds: 5 },
    denial: { capacity: CAPACITY, maxTtlSeconds: ttl ?? 1800, minTtlSeconds: 5 },
    servfailMs: 5000,
    prefetch: undefined,
    staleMs: 0,
    staleMode: 'immediate',
    staleVerifyMs: 0,
    staleTtlSeconds: 0,
    staleRecheckMs: 0,
    stalePreferPositive: false,
    disabledSuccess: [],
    disabledDenial: [],
    keepTtl: false,
  };
  readOptions(context, {
    success: (line) => void (options.success = readKind(context, line, options.success)),
    denial: (line) => void (options.denial = readKind(context, line, options.denial)),
    prefetch: (line) => readPrefetch(context, options, line),
    serve_stale: (line) => readStale(context, options, line),
    serve_stale_policy: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.stalePreferPositive = readWord(context, line.args[0]!, ['prefer_positive']) !== undefined;
    },
    servfail: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      const durationMs = readDurationMs(context, line.args[0]!);
      if (durationMs !== undefined && durationMs > 300_000) {
        context.fault(line.args[0]!, 'SERVFAIL may be kept for 5m at most');
      } else options.servfailMs = durationMs ?? options.servfailMs;
    },
    disable: (line) => readDisable(context, options, line),
    keepttl: (line) => {
      if (expectArgs(context, line, 0, 0)) options.keepTtl = true;
    },
  });
  return options;
}

function readKind(context: SetupContext, line: Line, before: KindOptions): KindOptions {
  if (!expectArgs(context, line, 1, 3)) return before;
  const [capacity, max, min] = line.args;
  const asked = readInteger(context, capacity!, 0, 100_000_000) ?? before.capacity;
  const rounded = Math.max(CAPACITY_MIN, Math.floor(asked / SHARDS) * SHARDS);
  return {
    capacity: rounded,
    maxTtlSeconds: (max && readInteger(context, max, 1, 2 ** 31)) ?? before.maxTtlSeconds,
    minTtlSeconds: (min && readInteger(context, min, 0, 2 ** 31)) ?? before.minTtlSeconds,
  };
}

function readPrefetch(context: SetupContext, options: Mutable<CacheOptions>, line: Line): void {
  if (!expectArgs(context, line, 1, 3)) return;
  const [amount, duration, percentage] = line.args;
  const percent = percentage ? /^(\d{1,2})%$/.exec(percentage.text)?.[1] : '10';
  if (percent === undefined || Number(percent) < 10 || Number(percent) > 90) {
    context.fault(percentage!, `"${percentage!.text}" is not a percentage from 10% to 90%`);
  }
  options.prefetch = {
    amount: readInteger(context, amount!, 0, 2 ** 31) ?? 0,
    durationMs: duration ? (readDurationMs(context, duration) ?? 60_000) : 60_000,
    percentage: Number(percent ?? 10),
  };
}

/** `serve_stale [DURATION] [immediate|verify] [VERIFY_TIMEOUT] [ttl] [recheck]`. */
function readStale(context: SetupContext, options: Mutable<CacheOptions>, line: Line): void {
  options.staleMs = 3_600_000;
  const rest = [...line.args];
  if (rest[0] && parseDurationMs(rest[0].text) !== undefined) {
    options.staleMs = parseDurationMs(rest.shift()!.text)!;
  }
  if (rest[0]) options.staleMode = readWord(context, rest.shift()!, ['immediate', 'verify']) ?? 'immediate';
  if (rest[0] && options.staleMode === 'verify') {
    options.staleVerifyMs = readDurationMs(context, rest.shift()!) ?? 0;
  }
  if (rest[0]) options.staleTtlSeconds = Math.floor((readDurationMs(context, rest.shift()!) ?? 0) / 1000);
  if (rest[0]) options.staleRecheckMs = readDurationMs(context, rest.shift()!) ?? 0;
  if (rest[0]) context.fault(rest[0], 'serve_stale takes no further arguments');
}

function readDisable(context: SetupContext, options: Mutable<CacheOptions>, line: Line): void {
  if (!expectArgs(context, line, 1, Infinity)) return;
  const [kind, ...tokens] = line.args;
  const zones = tokens.length > 0 ? readZones(context, tokens) : ['.'];
  const chosen = readWord(context, kind!, ['success', 'denial']);
  if (chosen === 'success') options.disabledSuccess = [...options.disabledSuccess, ...zones];
  if (chosen === 'denial') options.disabledDenial = [...options.disabledDenial, ...zones];
}
