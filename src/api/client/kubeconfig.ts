import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { parseDocument } from 'yaml';
import { Fault, messageOf } from '../../base/fault.ts';

/** How to run a client-go credential plugin (client.authentication.k8s.io). */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string | undefined;
  readonly provideClusterInfo: boolean;
}

/** Where an API server is and who we are to it. PEM texts; files that rotate are named, not read. */
export interface ClusterAccess {
  readonly server: URL;
  /** Default namespace of the context. */
  readonly namespace: string;
  readonly caPem: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName: string | undefined;
  readonly certPem: string | undefined;
  readonly keyPem: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  readonly exec: ExecPlugin | undefined;
  /** Impersonate-* headers. */
  readonly impersonate: Readonly<Record<string, string | string[]>>;
}

type Fields = Record<string, unknown>;

/** One named entry and the file it came from: relative paths in it are relative to that file. */
interface Entry {
  readonly fields: Fields;
  readonly file: string;
  readonly path: string;
}

interface Merged {
  readonly clusters: Map<string, Entry>;
  readonly users: Map<string, Entry>;
  readonly contexts: Map<string, Entry>;
  currentContext: string;
}

/**
 * Loads a kubeconfig. `path` may be several joined by `:` as in KUBECONFIG: the first to set a name wins, and
 * files of such a list may be missing. Faults: KUBECONFIG_INVALID, the message names file and field.
 */
export async function loadKubeconfig(path: string, contextName?: string): Promise<ClusterAccess> {
  const files = path.split(':').filter((part) => part !== '');
  const merged: Merged = { clusters: new Map(), users: new Map(), contexts: new Map(), currentContext: '' };
  let readCount = 0;
  for (const file of files) if (await merge(merged, file, files.length > 1)) readCount++;
  if (readCount === 0) throw invalid(path, '', 'no such file');
  const name = contextName ?? merged.currentContext;
  if (!name) throw invalid(path, 'current-context', 'is not set and no context was chosen');
  const context = merged.contexts.get(name);
  if (!context) {
    const known = [...merged.contexts.keys()].join(', ') || 'none';
    throw invalid(path, 'contexts', `has no context "${name}" (there are: ${known})`);
  }
  const at = `${context.path}.context`;
  const cluster = named(merged.clusters, context, `${at}.cluster`, 'cluster', 'clusters');
  const userName = text(context.fields, 'user', context, at);
  const user = userName ? named(merged.users, context, `${at}.user`, 'user', 'users') : undefined;
  return {
    ...(await clusterFields(cluster)),
    ...(await userFields(user)),
    namespace: text(context.fields, 'namespace', context, at) ?? 'default',
  };
}

function invalid(file: string, field: string, message: string, cause?: unknown): Fault {
  const where = field ? `kubeconfig ${file}: ${field}` : `kubeconfig ${file}`;
  return new Fault('KUBECONFIG_INVALID', `${where} ${message}`, cause === undefined ? {} : { cause });
}

async function merge(into: Merged, file: string, mayMiss: boolean): Promise<boolean> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if (mayMiss && (error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw invalid(file, '', `cannot be read: ${messageOf(error)}`, error);
  }
  const document = parseDocument(content, { prettyErrors: true });
  const [fault] = document.errors;
  if (fault) throw invalid(file, '', `is not YAML: ${fault.message.split('\n')[0] ?? ''}`, fault);
  const root: unknown = document.toJS({ maxAliasCount: 100 });
  if (root === null) return true;
  if (typeof root !== 'object' || Array.isArray(root)) throw invalid(file, '', 'is not an object');
  const fields = root as Fields;
  mergeEntries(into.clusters, fields, 'clusters', 'cluster', file);
  mergeEntries(into.users, fields, 'users', 'user', file);
  mergeEntries(into.contexts, fields, 'contexts', 'context', file);
  const current = fields['current-context'];
  if (current !== undefined && current !== null && typeof current !== 'string') {
    throw invalid(file, 'current-context', 'must be a string');
  }
  into.currentContext ||= current ?? '';
  return true;
}

function mergeEntries(
  into: Map<string, Entry>,
  root: Fields,
  list: string,
  member: string,
  file: string,
): void {
  const entries = root[list];
  if (entries === undefined || entries === null) return;
  if (!Array.isArray(entries)) throw invalid(file, list, 'must be a list');
  for (const [i, item] of entries.entries()) {
    const path = `${list}[${i}]`;
    const entry = item as Fields | null;
    const name = entry?.name;
    if (typeof name !== 'string' || !name) throw invalid(file, `${path}.name`, 'is required');
    const fields = entry?.[member] ?? {};
    if (typeof fields !== 'object' || Array.isArray(fields)) {
      throw invalid(file, `${path}.${member}`, 'must be an object');
    }
    if (!into.has(name)) into.set(name, { fields: fields as Fields, file, path });
  }
}

function named(
  entries: ReadonlyMap<string, Entry>,
  context: Entry,
  field: string,
  member: string,
  list: string,
): Entry {
  const name = context.fields[member];
  if (typeof name !== 'string' || !name) throw invalid(context.file, field, 'is required');
  const entry = entries.get(name);
  if (!entry) throw invalid(context.file, field, `names "${name}", which is not in ${list}`);
  return entry;
}

function text(fields: Fields, name: string, entry: Entry, at: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalid(entry.file, `${at}.${name}`, 'must be a string');
  return value;
}

/** The PEM of `NAME-data` (base64, wins) or of the file `NAME`. */
async function pem(entry: Entry, at: string, name: string): Promise<string | undefined> {
  const data = text(entry.fields, `${name}-data`, entry, at);
  if (data !== undefined) {
    const decoded = Buffer.from(data, 'base64').toString('latin1');
    if (!decoded.includes('-----BEGIN ')) {
      throw invalid(entry.file, `${at}.${name}-data`, 'is not base64 of a PEM text');
    }
    return decoded;
  }
  const file = text(entry.fields, name, entry, at);
  if (file === undefined) return undefined;
  const resolved = resolve(entry, file);
  try {
    return await readFile(resolved, 'latin1');
  } catch (error) {
    throw invalid(
      entry.file,
      `${at}.${name}`,
      `names ${resolved}, which cannot be read: ${messageOf(error)}`,
      error,
    );
  }
}

function resolve(entry: Entry, path: string): string {
  return isAbsolute(path) ? path : join(dirname(entry.file), path);
}

type ClusterPart = Pick<ClusterAccess, 'server' | 'caPem' | 'insecureSkipTlsVerify' | 'tlsServerName'>;

async function clusterFields(entry: Entry): Promise<ClusterPart> {
  const at = `${entry.path}.cluster`;
  const serverText = text(entry.fields, 'server', entry, at);
  if (!serverText) throw invalid(entry.file, `${at}.server`, 'is required');
  const server = URL.parse(serverText.includes('://') ? serverText : `https://${serverText}`);
  if (!server || !['http:', 'https:'].includes(server.protocol)) {
    throw invalid(entry.file, `${at}.server`, `is no http or https URL: ${serverText}`);
  }
  if (text(entry.fields, 'proxy-url', entry, at)) {
    throw invalid(entry.file, `${at}.proxy-url`, 'is not supported; reach the server directly');
  }
  const insecure = entry.fields['insecure-skip-tls-verify'] === true;
  const caPem = await pem(entry, at, 'certificate-authority');
  if (insecure && caPem) {
    throw invalid(entry.file, at, 'sets both certificate-authority and insecure-skip-tls-verify');
  }
  return {
    server,
    caPem,
    insecureSkipTlsVerify: insecure,
    tlsServerName: text(entry.fields, 'tls-server-name', entry, at),
  };
}

type UserPart = Omit<ClusterAccess, keyof ClusterPart | 'namespace'>;

async function userFields(entry: Entry | undefined): Promise<UserPart> {
  if (!entry) return ANONYMOUS;
  const at = `${entry.path}.user`;
  if (entry.fields['auth-provider']) {
    throw invalid(entry.file, `${at}.auth-provider`, 'was removed from Kubernetes; use exec');
  }
  const certPem = await pem(entry, at, 'client-certificate');
  const keyPem = await pem(entry, at, 'client-key');
  if ((certPem === undefined) !== (keyPem === undefined)) {
    throw invalid(entry.file, at, 'needs both client-certificate and client-key');
  }
  const username = text(entry.fields, 'username', entry, at);
  const password = text(entry.fields, 'password', entry, at) ?? '';
  const tokenFile = text(entry.fields, 'tokenFile', entry, at);
  return {
    certPem,
    keyPem,
    token: text(entry.fields, 'token', entry, at),
    tokenFile: tokenFile && resolve(entry, tokenFile),
    basic: username === undefined ? undefined : { username, password },
    exec: execPlugin(entry, at),
    impersonate: impersonation(entry, at),
  };
}

/** Nobody in particular; Kubernetes calls them system:anonymous. */
export const ANONYMOUS: UserPart = {
  certPem: undefined,
  keyPem: undefined,
  token: undefined,
  tokenFile: undefined,
  basic: undefined,
  exec: undefined,
  impersonate: {},
};

function impersonation(entry: Entry, at: string): Record<string, string | string[]> {
  const user = text(entry.fields, 'as', entry, at);
  const uid = text(entry.fields, 'as-uid', entry, at);
  const groups = entry.fields['as-groups'];
  const headers: Record<string, string | string[]> = {};
  if (user) headers['impersonate-user'] = user;
  if (uid) headers['impersonate-uid'] = uid;
  if (Array.isArray(groups)) headers['impersonate-group'] = groups.map(String);
  return headers;
}

function execPlugin(entry: Entry, at: string): ExecPlugin | undefined {
  const fields = entry.fields.exec as Fields | undefined | null;
  if (!fields) return undefined;
  const path = `${at}.exec`;
  const command = text(fields, 'command', entry, path);
  if (!command) throw invalid(entry.file, `${path}.command`, 'is required');
  const apiVersion = text(fields, 'apiVersion', entry, path) ?? '';
  if (!/^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(apiVersion)) {
    const message = `must be client.authentication.k8s.io/v1 or v1beta1, not "${apiVersion}"`;
    throw invalid(entry.file, `${path}.apiVersion`, message);
  }
  const args = Array.isArray(fields.args) ? fields.args.map(String) : [];
  return {
    apiVersion,
    // As client-go: a bare name is searched in PATH, anything with a slash is relative to the file.
    command: command.includes('/') ? resolve(entry, command) : command,
    args,
    env: execEnvironment(fields.env, entry, `${path}.env`),
    installHint: text(fields, 'installHint', entry, path),
    provideClusterInfo: fields.provideClusterInfo === true,
  };
}

function execEnvironment(list: unknown, entry: Entry, at: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [i, item] of (Array.isArray(list) ? (list as (Fields | null)[]) : []).entries()) {
    const name = text(item ?? {}, 'name', entry, `${at}[${i}]`);
    if (!name) throw invalid(entry.file, `${at}[${i}].name`, 'is required');
    env[name] = text(item ?? {}, 'value', entry, `${at}[${i}]`) ?? '';
  }
  return env;
}
