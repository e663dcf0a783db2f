import { readFile } from 'node:fs/promises';
import { messageOf } from '../../base/fault.ts';
import type { ControlPlaneOptions } from '../../node/control-plane.ts';
import { EXIT_USAGE, ExitError } from '../context.ts';

/** kube-apiserver's flags for the audit log and encryption at rest, and ours for keys in the store. */
export interface ProtectionFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly encryptionProviderConfig?: string;
  readonly pkiKeyFile?: string;
}

/** The files behind the flags, all read before any port opens. */
export async function readProtection(
  flags: ProtectionFlags,
): Promise<Pick<ControlPlaneOptions, 'audit' | 'encryption' | 'pkiSecret'>> {
  const { auditPolicyFile, auditLogPath, encryptionProviderConfig } = flags;
  if ((auditPolicyFile === undefined) !== (auditLogPath === undefined)) {
    throw new ExitError(
      EXIT_USAGE,
      '--audit-policy-file and --audit-log-path go together: give both or none',
    );
  }
  const policy = await parsed(
    '--audit-policy-file',
    auditPolicyFile,
    async () => (await import('../../api/server/audit/policy.ts')).parseAuditPolicy,
  );
  const encryption = await parsed(
    '--encryption-provider-config',
    encryptionProviderConfig,
    // The ciphers are only loaded for those who seal.
    async () => (await import('../../api/server/encryption/configuration.ts')).parseEncryptionConfiguration,
  );
  const pkiSecret = await parsed('--pki-key-file', flags.pkiKeyFile, async () => (text) => text);
  return {
    ...(pkiSecret !== undefined && { pkiSecret }),
    ...(policy && auditLogPath !== undefined && { audit: { policy, path: auditLogPath } }),
    ...(encryption && { encryption }),
  };
}

async function parsed<T>(
  flag: string,
  path: string | undefined,
  load: () => Promise<(text: string) => T>,
): Promise<T | undefined> {
  if (path === undefined) return undefined;
  try {
    const [parse, text] = await Promise.all([load(), readFile(path, 'utf8')]);
    return parse(text);
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `${flag} ${path}: ${messageOf(error)}`);
  }
}
