/** Limits of the endpoints room. Each is reached by a test. */

/**
 * Changed keys (services, imports, namespaces, nodes, pods together) that a tracker remembers for changesSince.
 * Beyond it the oldest batches are forgotten and a reader that lags behind them is told to rebuild.
 */
export const CHANGE_LOG_KEYS_MAX = 32_768;

/** Distinct odd objects that are logged; later ones are only counted. */
export const ODD_OBJECT_LOG_LINES_MAX = 100;
