/** Nesting of arrays and objects in a request body; deeper bodies are refused. */
export const MAX_BODY_DEPTH = 512;

/** Strict-decoding findings told of one body; the rest is dropped. */
export const MAX_STRICT_ERRORS = 100;

/** Aliases one YAML document may expand to; more is taken for a bomb and refused. */
export const MAX_YAML_ALIASES = 100;

/** A request body in YAML that is no JSON; reading it takes about 2 s a million characters. */
export const MAX_YAML_BODY_CHARACTERS = 512 * 1024;

/** Field errors told of one object; validation stops adding after it. */
export const MAX_FIELD_ERRORS = 100;

/** Sum of key and value lengths of metadata.annotations (apimachinery TotalAnnotationSizeLimitB). */
export const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/** Sum of the values of a ConfigMap or Secret (MaxSecretSize). */
export const MAX_DATA_BYTES = 1024 * 1024;

/** Endpoints of one EndpointSlice, addresses of one endpoint, ports of one slice (discovery validation). */
export const MAX_SLICE_ENDPOINTS = 1000;
export const MAX_ENDPOINT_ADDRESSES = 100;
export const MAX_SLICE_PORTS = 20_000;

/** Requirements of one selector text; a longer one is refused. */
export const MAX_SELECTOR_REQUIREMENTS = 1000;

/** Addresses shown in the Endpoints table before `+ N more...`. */
export const TABLE_ENDPOINTS_SHOWN = 3;

/** Nesting of a CustomResourceDefinition's schema; deeper ones are refused. */
export const MAX_CRD_SCHEMA_DEPTH = 128;

/** Estimated cost of one rule of a CustomResourceDefinition, and of all rules of one of its schemas (KEP-2876). */
export const RULE_COST_MAX = 10_000_000;
export const CRD_COST_MAX = 100_000_000;
