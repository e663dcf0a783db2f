/**
 * Owner of the fields that weft's commands apply. `weft up --apply` and `weft apply` are one owner: the same manifest
 * by the other command is no conflict.
 */
export const FIELD_MANAGER = 'weft';
