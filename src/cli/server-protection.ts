import { readFile } from 'node:fs/promises';
import { parseAuditPolicy } from '../api/server/audit/policy.ts';
import { parseEncryptionConfiguration } from '../api/server/encryption/configuration.ts';
import { messageOf } from '../base/fault.ts';
import type { ControlPlaneOptions } from '../node/control-plane.ts';
import { EXIT_USAGE, ExitError } from './context.ts';

/** kube-apiserver's flags for the audit log and encryption at rest. */
export interface ProtectionFlags {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly encryptionProviderConfig?: string;
}

/** The files behind the flags, all read before any port opens. */
export async function readProtection(
  flags: ProtectionFlags,
): Promise<Pick<ControlPlaneOptions, 'audit' | 'encryption'>> {
  const { auditPolicyFile, auditLogPath, encryptionProviderConfig } = flags;
  if ((auditPolicyFile === undefined) !== (auditLogPath === undefined)) {
    throw new ExitError(
      EXIT_USAGE,
      '--audit-policy-file and --audit-log-path go together: give both or none',
    );
  }
  const policy = await parsed('--audit-policy-file', auditPolicyFile, parseAuditPolicy);
  const encryption = await parsed(
    '--encryption-provider-config',
    encryptionProviderConfig,
    parseEncryptionConfiguration,
  );
  return {
    ...(policy && auditLogPath !== undefined && { audit: { policy, path: auditLogPath } }),
    ...(encryption && { encryption }),
  };
}

async function parsed<T>(
  flag: string,
  path: string | undefined,
  parse: (text: string) => T,
): Promise<T | undefined> {
  if (path === undefined) return undefined;
  try {
    return parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `${flag} ${path}: ${messageOf(error)}`);
  }
}
