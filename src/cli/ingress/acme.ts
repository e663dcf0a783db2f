import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type AcmeHttp, openAcmeHttp } from '../../../ingress/acme/acme-http.ts';
import type { Challenges } from '../../../ingress/acme/challenges.ts';
import type { ChallengeType } from '../../../ingress/acme/issuer.ts';
import { Renewals, type SecretStore } from '../../../ingress/acme/renewals.ts';
import type { Secret } from '../../api/kinds/config.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import { apiSecretStore, fileSecretStore } from '../../node/ingress/secret-store.ts';
import { EXIT_USAGE, ExitError } from '../context.ts';
import type { IngressApi } from './source.ts';

export interface AcmeFlags {
  readonly acmeDirectory?: string;
  readonly acmeEmail?: string;
  readonly acmeChallenge: readonly ChallengeType[];
  readonly acmeCa?: string;
  readonly acmeFolder?: string;
}

export function addAcmeFlags(command: Command): Command {
  return command
    .option(
      '--acme-directory <url>',
      'get certificates from this CA for Ingresses with kubernetes.io/tls-acme',
    )
    .option('--acme-email <address>', 'contact the CA may write to')
    .option('--acme-challenge <types>', 'http-01, tls-alpn-01 or both, in the order to try', challengeTypes, [
      'http-01',
      'tls-alpn-01',
    ])
    .option('--acme-ca <file>', 'certificates to trust the CA\u2019s own server by (PEM)')
    .option('--acme-folder <folder>', 'with --from: where account, orders and certificates are kept');
}

function challengeTypes(text: string): readonly ChallengeType[] {
  const types = text.split(',');
  if (types.length === 0 || !types.every((type) => type === 'http-01' || type === 'tls-alpn-01'))
    throw new InvalidArgumentError('Use http-01, tls-alpn-01 or both with a comma.');
  return types;
}

interface AcmeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly challenges: Challenges;
}

export interface Acme extends AsyncDisposable {
  readonly renewals: Renewals;
  /** Secrets kept in a folder, for an ingress without an API server. */
  readonly kept: readonly Secret[];
}

/** Undefined without --acme-directory. */
export async function openAcme(
  deps: AcmeDeps,
  flags: AcmeFlags,
  api: IngressApi | undefined,
  options: { readonly namespace: string; readonly changed: (secret: Secret) => void },
): Promise<Acme | undefined> {
  const { acmeDirectory, acmeEmail, acmeCa, acmeFolder } = flags;
  if (acmeDirectory === undefined) return undefined;
  if (!api && acmeFolder === undefined)
    throw new ExitError(EXIT_USAGE, '--acme-directory with --from needs --acme-folder to keep the keys in');
  const http: AcmeHttp = openAcmeHttp({ ca: acmeCa === undefined ? undefined : await readCa(acmeCa) });
  const store: SecretStore = api
    ? apiSecretStore(api.client)
    : fileSecretStore(acmeFolder ?? '', options.changed);
  const renewals = new Renewals(
    { ...deps, http, store },
    {
      directoryUrl: acmeDirectory,
      contact: acmeEmail === undefined ? [] : [`mailto:${acmeEmail}`],
      challenges: flags.acmeChallenge,
      namespace: options.namespace,
    },
  );
  return {
    renewals,
    kept: api ? [] : await keptSecrets(acmeFolder ?? ''),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

async function keptSecrets(folder: string): Promise<Secret[]> {
  try {
    const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
    return await Promise.all(
      files.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Secret),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new ExitError(EXIT_USAGE, `--acme-folder ${folder}: ${messageOf(error)}`);
  }
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--acme-ca: ${messageOf(error)}`);
  }
}
