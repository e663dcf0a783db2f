import type { Declarations } from './declarations.ts';

const FORMATS = [
  'byte',
  'date',
  'datetime',
  'dns1035Label',
  'dns1035LabelPrefix',
  'dns1123Label',
  'dns1123LabelPrefix',
  'dns1123Subdomain',
  'dns1123SubdomainPrefix',
  'labelValue',
  'qualifiedName',
  'uri',
  'uuid',
];
const COMPARABLE = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'];
const SUMMABLE = ['int', 'uint', 'double', 'duration'];

const ofLists = (types: readonly string[], id: string, signature: (type: string) => string): string[] =>
  types.map((type) => `.list_${type}_${id}: ${signature(type)}`);

const extreme = (name: string): string[] =>
  COMPARABLE.map((type) => `.list_${type}_${name}_${type}: (list(${type})) -> ${type}`);

/** Texts and lists beyond the language: cel-go's strings (version 2), lists (3) and sets, Kubernetes' lists. */
const EXTENSIONS: Declarations = {
  isSorted: ofLists(COMPARABLE, 'is_sorted_bool', (type) => `(list(${type})) -> bool`),
  min: extreme('min'),
  max: extreme('max'),
  sum: SUMMABLE.map((type) => `.list_${type}_sum_${type}: (list(${type})) -> ${type}`),
  sort: ofLists(COMPARABLE, 'sort', (type) => `(list(${type})) -> list(${type})`),
  '@sortByAssociatedKeys': ofLists(
    COMPARABLE,
    'sortByAssociatedKeys',
    (type) => `(list(T), list(${type})) -> list(T)`,
  ),
  charAt: ['.string_char_at_int: (string, int) -> string'],
  distinct: ['.list_distinct: (list(T)) -> list(T)'],
  find: ['.string_find_string: (string, string) -> string'],
  findAll: [
    '.string_find_all_string: (string, string) -> list(string)',
    '.string_find_all_string_int: (string, string, int) -> list(string)',
  ],
  first: ['.list_first: (list(V)) -> optional_type(V)'],
  flatten: ['.list_flatten: (list(list(T))) -> list(T)', '.list_flatten_int: (list(dyn), int) -> list(dyn)'],
  format: ['.string_format: (string, list(dyn)) -> string'],
  indexOf: [
    '.list_a_index_of_int: (list(A), A) -> int',
    '.string_index_of_string: (string, string) -> int',
    '.string_index_of_string_int: (string, string, int) -> int',
  ],
  join: ['.list_join: (list(string)) -> string', '.list_join_string: (list(string), string) -> string'],
  last: ['.list_last: (list(V)) -> optional_type(V)'],
  lastIndexOf: [
    '.list_a_last_index_of_int: (list(A), A) -> int',
    '.string_last_index_of_string: (string, string) -> int',
    '.string_last_index_of_string_int: (string, string, int) -> int',
  ],
  'lists.range': ['lists_range: (int) -> list(int)'],
  lowerAscii: ['.string_lower_ascii: (string) -> string'],
  replace: [
    '.string_replace_string_string: (string, string, string) -> string',
    '.string_replace_string_string_int: (string, string, string, int) -> string',
  ],
  reverse: ['.list_reverse: (list(T)) -> list(T)'],
  'sets.contains': ['list_sets_contains_list: (list(T), list(T)) -> bool'],
  'sets.equivalent': ['list_sets_equivalent_list: (list(T), list(T)) -> bool'],
  'sets.intersects': ['list_sets_intersects_list: (list(T), list(T)) -> bool'],
  slice: ['.list_slice: (list(T), int, int) -> list(T)'],
  split: [
    '.string_split_string: (string, string) -> list(string)',
    '.string_split_string_int: (string, string, int) -> list(string)',
  ],
  'strings.quote': ['strings_quote: (string) -> string'],
  substring: [
    '.string_substring_int: (string, int) -> string',
    '.string_substring_int_int: (string, int, int) -> string',
  ],
  trim: ['.string_trim: (string) -> string'],
  upperAscii: ['.string_upper_ascii: (string) -> string'],
};

/** Kubernetes' own libraries, as of 1.34: what both this version and the one before it understand. */
export const KUBERNETES_DECLARATIONS: Declarations = {
  ...EXTENSIONS,
  ...Object.fromEntries(
    FORMATS.map((name) => [`format.${name}`, [`format.${name}: () -> kubernetes.NamedFormat`]]),
  ),
  add: [
    '.quantity_add: (kubernetes.Quantity, kubernetes.Quantity) -> kubernetes.Quantity',
    '.quantity_add_int: (kubernetes.Quantity, int) -> kubernetes.Quantity',
  ],
  allowed: ['.decision_allowed: (kubernetes.authorization.Decision) -> bool'],
  asApproximateFloat: ['.quantity_get_float: (kubernetes.Quantity) -> double'],
  asInteger: ['.quantity_get_int: (kubernetes.Quantity) -> int'],
  check: [
    '.pathcheck_check: (kubernetes.authorization.PathCheck, string) -> kubernetes.authorization.Decision',
    '.resourcecheck_check: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.Decision',
  ],
  cidr: ['string_to_cidr: (string) -> net.CIDR'],
  compareTo: [
    '.quantity_compare_to: (kubernetes.Quantity, kubernetes.Quantity) -> int',
    '.semver_compare_to: (kubernetes.Semver, kubernetes.Semver) -> int',
  ],
  containsCIDR: [
    '.cidr_contains_cidr_string: (net.CIDR, string) -> bool',
    '.cidr_contains_cidr: (net.CIDR, net.CIDR) -> bool',
  ],
  containsIP: [
    '.cidr_contains_ip_string: (net.CIDR, string) -> bool',
    '.cidr_contains_ip_ip: (net.CIDR, net.IP) -> bool',
  ],
  error: ['.decision_error: (kubernetes.authorization.Decision) -> string'],
  errored: ['.decision_errored: (kubernetes.authorization.Decision) -> bool'],
  family: ['.ip_family: (net.IP) -> int'],
  fieldSelector: [
    '.authorizer_fieldselector: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  'format.named': ['format-named: (string) -> optional_type(kubernetes.NamedFormat)'],
  getEscapedPath: ['.url_get_escaped_path: (kubernetes.URL) -> string'],
  getHost: ['.url_get_host: (kubernetes.URL) -> string'],
  getHostname: ['.url_get_hostname: (kubernetes.URL) -> string'],
  getPort: ['.url_get_port: (kubernetes.URL) -> string'],
  getQuery: ['.url_get_query: (kubernetes.URL) -> map(string, list(string))'],
  getScheme: ['.url_get_scheme: (kubernetes.URL) -> string'],
  group: [
    '.authorizer_group: (kubernetes.authorization.Authorizer, string) -> kubernetes.authorization.GroupCheck',
  ],
  ip: ['string_to_ip: (string) -> net.IP', '.cidr_ip: (net.CIDR) -> net.IP'],
  'ip.isCanonical': ['ip_is_canonical: (string) -> bool'],
  isCIDR: ['is_cidr: (string) -> bool'],
  isGlobalUnicast: ['.ip_is_global_unicast: (net.IP) -> bool'],
  isGreaterThan: [
    '.quantity_is_greater_than: (kubernetes.Quantity, kubernetes.Quantity) -> bool',
    '.semver_is_greater_than: (kubernetes.Semver, kubernetes.Semver) -> bool',
  ],
  isIP: ['is_ip: (string) -> bool'],
  isInteger: ['.quantity_is_integer: (kubernetes.Quantity) -> bool'],
  isLessThan: [
    '.quantity_is_less_than: (kubernetes.Quantity, kubernetes.Quantity) -> bool',
    '.semver_is_less_than: (kubernetes.Semver, kubernetes.Semver) -> bool',
  ],
  isLinkLocalMulticast: ['.ip_is_link_local_multicast: (net.IP) -> bool'],
  isLinkLocalUnicast: ['.ip_is_link_local_unicast: (net.IP) -> bool'],
  isLoopback: ['.ip_is_loopback: (net.IP) -> bool'],
  isQuantity: ['is_quantity_string: (string) -> bool'],
  isSemver: ['is_semver_string: (string) -> bool', 'is_semver_string_bool: (string, bool) -> bool'],
  isURL: ['is_url_string: (string) -> bool'],
  isUnspecified: ['.ip_is_unspecified: (net.IP) -> bool'],
  labelSelector: [
    '.authorizer_labelselector: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  major: ['.semver_major: (kubernetes.Semver) -> int'],
  masked: ['.cidr_masked: (net.CIDR) -> net.CIDR'],
  minor: ['.semver_minor: (kubernetes.Semver) -> int'],
  name: [
    '.resourcecheck_name: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  namespace: [
    '.resourcecheck_namespace: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  patch: ['.semver_patch: (kubernetes.Semver) -> int'],
  path: [
    '.authorizer_path: (kubernetes.authorization.Authorizer, string) -> kubernetes.authorization.PathCheck',
  ],
  prefixLength: ['.cidr_prefix_length: (net.CIDR) -> int'],
  quantity: ['string_to_quantity: (string) -> kubernetes.Quantity'],
  reason: ['.decision_reason: (kubernetes.authorization.Decision) -> string'],
  resource: [
    '.groupcheck_resource: (kubernetes.authorization.GroupCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  semver: [
    'string_to_semver: (string) -> kubernetes.Semver',
    'string_bool_to_semver: (string, bool) -> kubernetes.Semver',
  ],
  serviceAccount: [
    '.authorizer_serviceaccount: (kubernetes.authorization.Authorizer, string, string) -> kubernetes.authorization.Authorizer',
  ],
  sign: ['quantity_sign: (kubernetes.Quantity) -> int'],
  sub: [
    '.quantity_sub: (kubernetes.Quantity, kubernetes.Quantity) -> kubernetes.Quantity',
    '.quantity_sub_int: (kubernetes.Quantity, int) -> kubernetes.Quantity',
  ],
  subresource: [
    '.resourcecheck_subresource: (kubernetes.authorization.ResourceCheck, string) -> kubernetes.authorization.ResourceCheck',
  ],
  url: ['string_to_url: (string) -> kubernetes.URL'],
  validate: ['.format-validate: (kubernetes.NamedFormat, string) -> optional_type(list(string))'],
};
