import { isExpression } from '../relay/variables.ts';
import type { BalancePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

/** Rows 24 and 25: upstream-hash-by and load-balance. */
export function readBalance(read: AnnotationReader, settings: GlobalSettings): BalancePolicy {
  const algorithm = read.oneOf('load-balance', ['round_robin', 'ewma', 'least_request']);
  if (read.text('load-balance') === 'least_request')
    read.differs('load-balance', 'an algorithm of weft, unknown to ingress-nginx');
  const hashBy = read.text('upstream-hash-by');
  const usable =
    hashBy === undefined || isExpression(hashBy)
      ? hashBy
      : read.refuse('upstream-hash-by', 'names a variable that is not known here');
  return {
    algorithm: algorithm ?? settings.balance,
    hashBy: usable === '' ? undefined : usable,
    hashSubset: read.bool('upstream-hash-by-subset') ?? false,
    hashSubsetSize: read.integer('upstream-hash-by-subset-size', 1) ?? 3,
  };
}
