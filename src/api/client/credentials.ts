import { readFile } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { Fault, hasCode, messageOf } from '../../base/fault.ts';
import type { Exec } from '../../net/exec.ts';
import type { ClusterAccess, ExecPlugin } from './kubeconfig.ts';
import { EXEC_CREDENTIAL_MARGIN_MS, EXEC_PLUGIN_TIMEOUT_MS, TOKEN_FILE_REFRESH_MS } from './limits.ts';

/** What identifies us in a request: a header, a client certificate, both, or neither. */
export interface Credential {
  readonly authorization: string | undefined;
  readonly certPem: string | undefined;
  readonly keyPem: string | undefined;
}

export interface Credentials {
  current(): Promise<Credential>;
  /** The server said 401: the next `current` fetches anew where that can help. True when it can. */
  invalidate(): boolean;
}

export interface CredentialDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  /** Environment of exec plugins. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function openCredentials(access: ClusterAccess, deps: CredentialDeps): Credentials {
  const { certPem, keyPem } = access;
  if (access.exec) return execCredentials(access, access.exec, deps);
  if (access.tokenFile) return fileCredentials(access.tokenFile, access, deps);
  const { token, basic } = access;
  const authorization = token
    ? `Bearer ${token}`
    : basic && `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
  const fixed: Credential = { authorization, certPem, keyPem };
  return { current: () => Promise.resolve(fixed), invalidate: () => false };
}

/** A projected token is rewritten in place before it expires. */
function fileCredentials(file: string, access: ClusterAccess, { clock }: CredentialDeps): Credentials {
  const { certPem, keyPem } = access;
  let known: { readonly token: string; readonly readMs: number } | undefined;
  const read = async (): Promise<string> => {
    try {
      return (await readFile(file, 'utf8')).trim();
    } catch (cause) {
      if (known) return known.token; // the last one may still be valid while the file is replaced
      throw new Fault('CREDENTIALS_UNREADABLE', `token file ${file}: ${messageOf(cause)}`, { cause });
    }
  };
  return {
    async current() {
      const nowMs = clock.monotonicMs();
      if (!known || nowMs - known.readMs >= TOKEN_FILE_REFRESH_MS)
        known = { token: await read(), readMs: nowMs };
      return { authorization: `Bearer ${known.token}`, certPem, keyPem };
    },
    invalidate() {
      if (known) known = { ...known, readMs: Number.NEGATIVE_INFINITY };
      return true;
    },
  };
}

/** Runs the plugin when needed, one run at a time for all waiting requests. */
function execCredentials(access: ClusterAccess, plugin: ExecPlugin, deps: CredentialDeps): Credentials {
  let known: { readonly credential: Credential; readonly untilMs: number } | undefined;
  let running: Promise<Credential> | undefined;
  const run = async (): Promise<Credential> => {
    const { credential, expiresMs } = await runPlugin(access, plugin, deps);
    known = { credential, untilMs: (expiresMs ?? Number.POSITIVE_INFINITY) - EXEC_CREDENTIAL_MARGIN_MS };
    return credential;
  };
  return {
    current() {
      if (known && deps.clock.nowMs() < known.untilMs) return Promise.resolve(known.credential);
      running ??= run().finally(() => (running = undefined));
      return running;
    },
    invalidate() {
      known = undefined;
      return true;
    },
  };
}

interface ExecCredentialStatus {
  readonly token?: string;
  readonly clientCertificateData?: string;
  readonly clientKeyData?: string;
  readonly expirationTimestamp?: string;
}

async function runPlugin(
  access: ClusterAccess,
  plugin: ExecPlugin,
  deps: CredentialDeps,
): Promise<{ credential: Credential; expiresMs: number | undefined }> {
  const fault = (message: string, cause?: unknown): Fault =>
    new Fault('CREDENTIALS_UNREADABLE', `exec plugin ${plugin.command}: ${message}`, { cause });
  const env: Record<string, string> = { KUBERNETES_EXEC_INFO: JSON.stringify(execInfo(access, plugin)) };
  for (const [name, value] of Object.entries({ ...deps.env, ...plugin.env }))
    if (value !== undefined) env[name] = value;
  const result = await deps
    .exec(plugin.command, plugin.args, { env, timeoutMs: EXEC_PLUGIN_TIMEOUT_MS })
    .catch((error: unknown) => {
      const hint =
        hasCode(error, 'EXEC_NOT_FOUND') && plugin.installHint ? `; ${plugin.installHint.trim()}` : '';
      throw fault(messageOf(error) + hint, error);
    });
  if (result.exitCode !== 0) throw fault(`exit code ${result.exitCode}: ${result.stderr.trim()}`);
  let status: ExecCredentialStatus | undefined;
  try {
    status = (JSON.parse(result.stdout) as { status?: ExecCredentialStatus }).status;
  } catch (cause) {
    throw fault('its output is not JSON', cause);
  }
  if (!status?.token && !(status?.clientCertificateData && status.clientKeyData)) {
    throw fault('its output has neither status.token nor a client certificate with key');
  }
  const expiresMs = status.expirationTimestamp ? Date.parse(status.expirationTimestamp) : undefined;
  const credential: Credential = {
    authorization: status.token ? `Bearer ${status.token}` : undefined,
    certPem: status.clientCertificateData ?? access.certPem,
    keyPem: status.clientKeyData ?? access.keyPem,
  };
  return { credential, expiresMs: Number.isNaN(expiresMs) ? undefined : expiresMs };
}

function execInfo(access: ClusterAccess, plugin: ExecPlugin): unknown {
  const cluster = {
    server: access.server.href,
    ...(access.caPem && { 'certificate-authority-data': Buffer.from(access.caPem).toString('base64') }),
    ...(access.tlsServerName && { 'tls-server-name': access.tlsServerName }),
    ...(access.insecureSkipTlsVerify && { 'insecure-skip-tls-verify': true }),
  };
  return {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.provideClusterInfo && { cluster }) },
  };
}
