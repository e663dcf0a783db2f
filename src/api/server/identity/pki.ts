import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../base/clock.ts';
import { Fault, messageOf } from '../../../base/fault.ts';
import { CA_CERTIFICATE_DAYS, CERTIFICATE_DAYS } from '../limits.ts';
import {
  type CertificateRequest,
  generateKey,
  issueCertificate,
  type KeyAndCertificate,
  keyToPem,
} from './certificate.ts';
import type { SharedFiles } from './shared-keys.ts';

export const PKI_UNREADABLE = 'PKI_UNREADABLE';
/** The keys in the folder are not those of the cluster in the store. */
export const PKI_FOREIGN = 'PKI_FOREIGN';

const DAY_MS = 86_400_000;
/** Clocks of clients may be this far behind ours. */
const BACKDATE_MS = 300_000;

export interface PkiOptions {
  /** Folder of the files; undefined = everything in memory, new each time. */
  readonly dir: string | undefined;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Gives the keys all servers of the cluster use, from those this one has or made. */
  readonly agree?: (own: SharedFiles) => Promise<SharedFiles>;
}

/** The server's keys and certificates. Files: ca, apiserver, apiserver-kubelet-client, admin (.crt, .key), sa.key. */
export interface Pki {
  readonly ca: { readonly key: KeyObject; readonly certificate: X509Certificate; readonly pem: string };
  readonly server: KeyAndCertificate;
  readonly admin: KeyAndCertificate;
  /** How the server shows itself to kubelets. */
  readonly kubeletClient: KeyAndCertificate;
  /** Signs ServiceAccount tokens (ES256). */
  readonly serviceAccountKey: KeyObject;
}

type IssueRequest = Omit<CertificateRequest, 'publicKey' | 'notBeforeMs' | 'notAfterMs'>;

/** Reads what is there, makes what is missing, renews what is near its end or lacks a name. */
export async function openPki(clock: Clock, options: PkiOptions): Promise<Pki> {
  const files = new PkiFiles(options.dir);
  const nowMs = clock.nowMs();
  if (options.agree) await agreed(files, nowMs, options.agree);
  const ca = await openCa(files, nowMs);
  const server = await openCertificate(files, 'apiserver', nowMs, ca, {
    subject: { commonName: 'kube-apiserver', organizations: [] },
    dnsNames: options.dnsNames,
    ipAddresses: options.ipAddresses,
    usage: 'server',
  });
  const admin = await openCertificate(files, 'admin', nowMs, ca, {
    subject: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
    dnsNames: [],
    ipAddresses: [],
    usage: 'client',
  });
  const kubeletClient = await openCertificate(files, 'apiserver-kubelet-client', nowMs, ca, {
    subject: { commonName: 'kube-apiserver-kubelet-client', organizations: [] },
    dnsNames: [],
    ipAddresses: [],
    usage: 'client',
  });
  const serviceAccountKey = await openTokenKey(files);
  return { ca, server, admin, kubeletClient, serviceAccountKey };
}

async function openTokenKey(files: PkiFiles): Promise<KeyObject> {
  const saved = await files.read('sa.key');
  const key = saved ? files.parsed('sa.key', () => createPrivateKey(saved)) : generateKey();
  if (!saved) await files.write('sa.key', keyToPem(key), 0o600);
  return key;
}

/** Takes the keys of the cluster. A CA that was here before is not replaced behind the users' back. */
async function agreed(
  files: PkiFiles,
  nowMs: number,
  agree: NonNullable<PkiOptions['agree']>,
): Promise<void> {
  const had = await files.read('ca.crt');
  const made = had === undefined ? new PkiFiles(undefined) : files;
  const ca = await openCa(made, nowMs);
  const tokenKey = await openTokenKey(made);
  const own = { 'ca.key': keyToPem(ca.key), 'ca.crt': ca.pem, 'sa.key': keyToPem(tokenKey) };
  const shared = await agree(own);
  if (had !== undefined && shared['ca.crt'] !== had) throw files.foreign();
  await files.write('ca.key', shared['ca.key'], 0o600);
  await files.write('ca.crt', shared['ca.crt'], 0o644);
  await files.write('sa.key', shared['sa.key'], 0o600);
}

async function openCa(files: PkiFiles, nowMs: number): Promise<Pki['ca']> {
  const keyPem = await files.read('ca.key');
  const pem = await files.read('ca.crt');
  if (keyPem && pem) {
    // A CA is not replaced behind the users' back: kubeconfigs in use name it.
    const certificate = files.parsed('ca.crt', () => new X509Certificate(pem));
    const key = files.parsed('ca.key', () => createPrivateKey(keyPem));
    if (!certificate.checkPrivateKey(key)) throw files.unusable('ca.key', 'it is not the key of ca.crt');
    return { key, certificate, pem };
  }
  const key = generateKey();
  const made = issueCertificate(
    {
      subject: { commonName: 'weft-ca', organizations: [] },
      publicKey: publicKey(key),
      dnsNames: [],
      ipAddresses: [],
      usage: 'ca',
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: nowMs + CA_CERTIFICATE_DAYS * DAY_MS,
    },
    { key, certificate: undefined },
  );
  await files.write('ca.key', keyToPem(key), 0o600);
  await files.write('ca.crt', made, 0o644);
  return { key, certificate: new X509Certificate(made), pem: made };
}

async function openCertificate(
  files: PkiFiles,
  name: string,
  nowMs: number,
  ca: Pki['ca'],
  request: IssueRequest,
): Promise<KeyAndCertificate> {
  const keyPem = await files.read(`${name}.key`);
  const certificatePem = await files.read(`${name}.crt`);
  if (keyPem && certificatePem && isUsable({ keyPem, certificatePem }, nowMs, ca, request))
    return { keyPem, certificatePem };
  const made = issueFor(ca, nowMs, request);
  await files.write(`${name}.key`, made.keyPem, 0o600);
  await files.write(`${name}.crt`, made.certificatePem, 0o644);
  return made;
}

/** A new key with a certificate of the CA; used for clients that weft itself starts, too. */
export function issueFor(ca: Pki['ca'], nowMs: number, request: IssueRequest): KeyAndCertificate {
  const key = generateKey();
  const certificatePem = issueCertificate(
    {
      ...request,
      publicKey: publicKey(key),
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: Math.min(nowMs + CERTIFICATE_DAYS * DAY_MS, ca.certificate.validToDate.getTime()),
    },
    { key: ca.key, certificate: ca.certificate },
  );
  return { keyPem: keyToPem(key), certificatePem };
}

/** Signed by this CA for this key, holds every name, and at least a third of its life is left. */
function isUsable(
  { keyPem, certificatePem }: KeyAndCertificate,
  nowMs: number,
  ca: Pki['ca'],
  request: IssueRequest,
): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certificatePem);
    // written one after the other: a crash between them leaves a pair that is none
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return false;
  } catch {
    return false;
  }
  const leftMs = certificate.validToDate.getTime() - nowMs;
  if (leftMs < (CERTIFICATE_DAYS * DAY_MS) / 3 || !certificate.verify(ca.certificate.publicKey)) return false;
  return (
    request.dnsNames.every((name) => certificate.checkHost(name) !== undefined) &&
    request.ipAddresses.every((address) => certificate.checkIP(address) !== undefined)
  );
}

function publicKey(key: KeyObject): KeyObject {
  return createPublicKey(key);
}

/** Small files written whole: a new file is renamed over the old one. Without a folder they are in memory. */
class PkiFiles {
  readonly #dir: string | undefined;
  readonly #memory = new Map<string, string>();
  #made = false;

  constructor(dir: string | undefined) {
    this.#dir = dir;
  }

  async read(name: string): Promise<string | undefined> {
    if (!this.#dir) return this.#memory.get(name);
    const path = join(this.#dir, name);
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Fault(PKI_UNREADABLE, `cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** What a file holds; a file that nothing can be made of is named. */
  parsed<T>(name: string, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      throw this.unusable(name, messageOf(error), error);
    }
  }

  unusable(name: string, reason: string, cause?: unknown): Fault {
    const way = `restore it, or move ${this.#dir} away: then a new CA is made and kubeconfigs in use are void`;
    return new Fault(PKI_UNREADABLE, `cannot use ${join(this.#dir ?? '', name)}: ${reason}; ${way}`, {
      cause,
    });
  }

  foreign(): Fault {
    const way = `move ${this.#dir} away to join the cluster of this store`;
    return new Fault(PKI_FOREIGN, `${join(this.#dir ?? '', 'ca.crt')} is not the CA in the store: ${way}`);
  }

  async write(name: string, text: string, mode: number): Promise<void> {
    if (!this.#dir) return void this.#memory.set(name, text);
    const path = join(this.#dir, name);
    try {
      if (!this.#made) await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      this.#made = true;
      await writeFile(`${path}.new`, text, { mode });
      await rename(`${path}.new`, path);
    } catch (error) {
      throw new Fault(PKI_UNREADABLE, `cannot write ${path}: ${messageOf(error)}`, { cause: error });
    }
  }
}
