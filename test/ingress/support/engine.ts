import { type EngineName, ENGINES } from '../../../src/net/engine.ts';

/** How the ingress of a suite serves HTTP/1.1: WEFT_INGRESS_ENGINE=native runs any suite on that engine. */
export const ENGINE: EngineName =
  ENGINES.find((name) => name === process.env['WEFT_INGRESS_ENGINE']) ?? 'portable';

/** WEFT_INGRESS_WORKERS: threads of the native engine. */
export const WORKERS = Number(process.env['WEFT_INGRESS_WORKERS'] ?? 1);
