/**
 * Name and text formats of apimachinery's validation. Each check answers with the texts of what is wrong,
 * word for word as upstream; an empty list = fine.
 */
import { familyOf } from '../../net/ip.ts';
import { parseCidr } from '../../net/cidr.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const UNDERSCORED_LABEL = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const UNDERSCORED = `${UNDERSCORED_LABEL}(\\.${UNDERSCORED_LABEL})*`;
const HEADER_NAME = '[-A-Za-z0-9]+';
const DNS_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const WILDCARD = `\\*\\.${SUBDOMAIN}`;
const KEY = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const PERCENT = '[0-9]+%';

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const DNS_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const WILDCARD_TEXT =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const KEY_TEXT =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

const STANDARD_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;

const PATTERNS = new Map<string, RegExp>();

function matches(pattern: string, text: string): boolean {
  let compiled = PATTERNS.get(pattern);
  if (!compiled) PATTERNS.set(pattern, (compiled = new RegExp(`^(?:${pattern})$`)));
  return compiled.test(text);
}

/** Upstream's text of a failed pattern. */
export function patternText(text: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${text} (regex used for validation is '${pattern}')`;
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${text} (e.g. ${shown}regex used for validation is '${pattern}')`;
}

export function dnsLabel(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_LABEL) errors.push(`must be no more than ${MAX_LABEL} characters`);
  if (!matches(LABEL, text)) {
    errors.push(
      text.includes('.') && matches(SUBDOMAIN, text)
        ? 'must not contain dots'
        : patternText(LABEL_TEXT, LABEL, 'my-name', '123-abc'),
    );
  }
  return errors;
}

/** Upstream tells the length of names in characters, of prefixes of label keys in bytes. */
export function dnsSubdomain(text: string, unit: 'characters' | 'bytes' = 'characters'): string[] {
  const errors: string[] = [];
  if (text.length > MAX_SUBDOMAIN) errors.push(`must be no more than ${MAX_SUBDOMAIN} ${unit}`);
  if (!matches(SUBDOMAIN, text.slice(0, MAX_SUBDOMAIN + 1)))
    errors.push(patternText(SUBDOMAIN_TEXT, SUBDOMAIN, 'example.com'));
  return errors;
}

/** Names that resolvers know beside those of hosts: search paths. */
export function dnsSubdomainWithUnderscore(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_SUBDOMAIN) errors.push(`must be no more than ${MAX_SUBDOMAIN} characters`);
  if (!matches(UNDERSCORED, text.slice(0, MAX_SUBDOMAIN + 1))) {
    const about = SUBDOMAIN_TEXT.replace("'-' or '.'", "'_', '-' or '.'");
    errors.push(patternText(about, UNDERSCORED, 'example.com'));
  }
  return errors;
}

export function httpHeaderName(text: string): string[] {
  if (matches(HEADER_NAME, text)) return [];
  const about = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return [patternText(about, HEADER_NAME, 'X-Header-Name')];
}

/** Finalizers and the like: Kubernetes' own few names, or names of somebody's domain. */
export function finalizerName(text: string): string[] {
  if (text.includes('/') || STANDARD_FINALIZERS.has(text)) return [];
  return ['name is neither a standard finalizer name nor is it fully qualified'];
}

export function dns1035Label(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_LABEL) errors.push(`must be no more than ${MAX_LABEL} characters`);
  if (!matches(DNS_1035, text)) errors.push(patternText(DNS_1035_TEXT, DNS_1035, 'my-name', 'abc-123'));
  return errors;
}

export function wildcardSubdomain(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_SUBDOMAIN) errors.push(`must be no more than ${MAX_SUBDOMAIN} characters`);
  if (!matches(WILDCARD, text.slice(0, MAX_SUBDOMAIN + 1)))
    errors.push(patternText(WILDCARD_TEXT, WILDCARD, '*.example.com'));
  return errors;
}

/** Label keys, finalizers, condition types: `[prefix/]name`. */
export function qualifiedName(text: string): string[] {
  const parts = text.split('/');
  if (parts.length > 2) {
    const hint = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    return [`a valid label key ${patternText(KEY_TEXT, KEY, 'MyName', 'my.name', '123-abc')}${hint}`];
  }
  const errors: string[] = [];
  const name = parts.at(-1) ?? '';
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (prefix === '') errors.push('prefix part must be non-empty');
  else if (prefix !== undefined)
    errors.push(...dnsSubdomain(prefix, 'bytes').map((one) => `prefix part ${one}`));
  if (name === '') errors.push('name part must be non-empty');
  else if (name.length > MAX_LABEL) errors.push(`name part must be no more than ${MAX_LABEL} bytes`);
  if (!matches(KEY, name.slice(0, MAX_SUBDOMAIN))) {
    errors.push(`name part ${patternText(KEY_TEXT, KEY, 'MyName', 'my.name', '123-abc')}`);
  }
  return errors;
}

export function labelValue(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_LABEL) errors.push(`must be no more than ${MAX_LABEL} bytes`);
  if (text !== '' && !matches(KEY, text.slice(0, MAX_SUBDOMAIN))) {
    errors.push(patternText(VALUE_TEXT, `(${KEY})?`, 'MyValue', 'my_value', '12345'));
  }
  return errors;
}

/** Keys of ConfigMaps and Secrets. */
export function configKey(text: string): string[] {
  const errors: string[] = [];
  if (text.length > MAX_SUBDOMAIN) errors.push(`must be no more than ${MAX_SUBDOMAIN} characters`);
  if (!matches(CONFIG_KEY, text.slice(0, MAX_SUBDOMAIN + 1))) {
    const about = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    errors.push(patternText(about, CONFIG_KEY, 'key.name', 'KEY_NAME', 'key-name'));
  }
  if (text === '.' || text === '..') errors.push(`must not be '${text}'`);
  else if (text.startsWith('..')) errors.push("must not start with '..'");
  return errors;
}

export function envVarName(text: string): string[] {
  if (text !== '' && /^[\x20-\x3c\x3e-\x7e]+$/.test(text)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

export function portNumber(port: number): string[] {
  return port >= 1 && port <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}

/** IANA service names, as container ports carry them. */
export function portName(text: string): string[] {
  const errors: string[] = [];
  if (text.length > 15) errors.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(text)) {
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(text)) errors.push('must contain at least one letter (a-z)');
  if (text.includes('--')) errors.push('must not contain consecutive hyphens');
  if (text.startsWith('-') || text.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

export function percentText(text: string): string[] {
  if (matches(PERCENT, text)) return [];
  const about = "a valid percent string must be a numeric string followed by an ending '%'";
  return [patternText(about, PERCENT, '1%', '93%')];
}

export function ipAddress(text: string): string[] {
  return familyOf(text) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
}

export function cidrText(text: string): string[] {
  return parseCidr(text) ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'];
}

/** Addresses that would make a proxy forward to the node itself. */
export function nonLoopbackAddress(ip: string): string[] {
  const loopback = ip.startsWith('127.') || ip === '::1';
  return loopback ? ['may not be in the loopback range (127.0.0.0/8, ::1/128)'] : [];
}

/**
 * Addresses that are nobody's or everybody's. Upstream refuses loopback endpoints with them; here pods of
 * `weft up` live there.
 */
export function nonSpecialAddress(ip: string): string[] {
  if (ip === '0.0.0.0' || ip === '::') return [`may not be unspecified (${ip})`];
  if (ip.startsWith('169.254.') || /^fe[89ab]/i.test(ip))
    return ['may not be in the link-local range (169.254.0.0/16, fe80::/10)'];
  if (ip.startsWith('224.0.0.') || /^ff02:/i.test(ip))
    return ['may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'];
  return [];
}

/** Names that become one segment of a URL path (RBAC objects). */
export function pathSegment(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  return ['/', '%'].filter((bad) => text.includes(bad)).map((bad) => `may not contain '${bad}'`);
}
