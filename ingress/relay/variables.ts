import { readBasic } from '../access/basic-auth.ts';
import type { RoutedRequest } from './context.ts';

/** The nginx variables that annotations may use, as functions of a request. Anything else is refused when it is read. */
type Variable = (request: RoutedRequest) => string;

const VARIABLES: Readonly<Record<string, Variable>> = {
  request_uri: (request) => request.head.target,
  uri: (request) => request.path,
  document_uri: (request) => request.path,
  args: (request) => queryOf(request),
  query_string: (request) => queryOf(request),
  is_args: (request) => (queryOf(request) === '' ? '' : '?'),
  host: (request) => hostOnly(request.head.authority),
  http_host: (request) => request.head.authority,
  best_http_host: (request) => request.host,
  scheme: (request) => request.scheme,
  https: (request) => (request.scheme === 'https' ? 'on' : ''),
  server_name: (request) => request.route.host,
  server_protocol: ({ head }) =>
    head.version === 20 ? 'HTTP/2.0' : head.version === 11 ? 'HTTP/1.1' : 'HTTP/1.0',
  location_path: (request) => request.route.path,
  content_type: (request) => request.head.fields.get('content-type') ?? '',
  content_length: (request) => request.head.fields.get('content-length') ?? '',
  remote_user: (request) => readBasic(request.head.fields.get('authorization'))?.user ?? '',
  the_real_ip: (request) => request.clientAddress,
  pass_access_scheme: (request) => request.scheme,
  server_port: (request) => request.port,
  pass_server_port: (request) => request.port,
  request_method: (request) => request.head.method,
  remote_addr: (request) => request.clientAddress,
  binary_remote_addr: (request) => request.clientAddress,
  remote_port: (request) => String(request.connection.clientPort),
  escaped_request_uri: (request) => encodeURIComponent(request.head.target),
  ssl_client_s_dn: (request) => request.connection.tls?.client?.subject ?? '',
  ssl_client_i_dn: (request) => request.connection.tls?.client?.issuer ?? '',
  ssl_client_verify: (request) => request.connection.tls?.client?.verify ?? 'NONE',
  ssl_protocol: (request) => request.connection.tls?.protocol ?? '',
  ssl_cipher: (request) => request.connection.tls?.cipher ?? '',
  ssl_server_name: (request) => request.connection.tls?.serverName ?? '',
  namespace: (request) => request.route.ingress.namespace,
  ingress_name: (request) => request.route.ingress.name,
  service_name: (request) =>
    request.route.target.kind === 'service' ? request.route.target.backend.service : '',
  service_port: (request) => portText(request),
};

const NAME = /\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))/gi;

function variable(name: string): Variable | undefined {
  const lower = name.toLowerCase();
  if (Object.hasOwn(VARIABLES, lower)) return VARIABLES[lower];
  if (lower.startsWith('http_')) {
    const field = lower.slice(5).replaceAll('_', '-');
    return (request) => request.head.fields.joined(field) ?? '';
  }
  if (lower.startsWith('cookie_')) {
    const cookie = name.slice(7);
    return (request) => cookieValue(request.head.fields.joined('cookie'), cookie) ?? '';
  }
  if (lower.startsWith('arg_')) {
    const argument = name.slice(4);
    return (request) => argumentOf(queryOf(request), argument);
  }
  return undefined;
}

/** True when every variable in the text is known. */
export function isExpression(text: string): boolean {
  return [...text.matchAll(NAME)].every((match) => variable(match[1] ?? match[2]!) !== undefined);
}

/** The text with its variables replaced. The result may hold anything a client sent but no line end. */
export function expand(text: string, request: RoutedRequest): string {
  if (!text.includes('$')) return text;
  return text.replace(
    NAME,
    (_, braced: string | undefined, bare: string | undefined) => variable(braced ?? bare!)?.(request) ?? '',
  );
}

/** The value of one cookie of a Cookie field. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}

/** An argument as it was sent: decoded it could hold a line end. */
function argumentOf(query: string, name: string): string {
  for (const part of query.split('&')) {
    if (part.startsWith(`${name}=`)) return part.slice(name.length + 1);
  }
  return '';
}

function queryOf(request: RoutedRequest): string {
  const at = request.head.target.indexOf('?');
  return at < 0 ? '' : request.head.target.slice(at + 1);
}

function hostOnly(authority: string): string {
  return authority.replace(/:\d*$/, '').toLowerCase();
}

function portText({ route: { target } }: RoutedRequest): string {
  if (target.kind !== 'service' || !target.backend.port) return '';
  return 'name' in target.backend.port ? target.backend.port.name : String(target.backend.port.number);
}
