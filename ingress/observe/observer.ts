import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';

/** Hears of every finished request. */
export interface RequestObserver {
  finished(record: RequestRecord, request: RoutedRequest, status: number, bytes: number, nowMs: number): void;
}
