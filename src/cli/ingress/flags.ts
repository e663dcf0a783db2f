import { networkInterfaces } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { IngressLoadBalancerIngress } from '../../api/kinds/ingress.ts';
import { type EngineName, ENGINES } from '../../net/engine.ts';
import { familyOf } from '../../net/ip.ts';
import type { AcmeFlags } from './acme.ts';
import { cpuList, listenFlag, manifestPath, repeated } from '../flags.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Flags of every ingress command: which objects, and which of them are ours. */
export interface IngressObjectFlags {
  readonly kubeconfig?: string;
  readonly from?: readonly string[];
  readonly ingressClass: string;
  readonly controllerClass: string;
  readonly controllerName?: string;
  readonly watchIngressWithoutClass?: boolean;
  readonly configmap?: string;
  readonly strict?: boolean;
}

export interface IngressFlags extends IngressObjectFlags, AcmeFlags {
  readonly http?: readonly ListenAddress[];
  readonly https?: readonly ListenAddress[];
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly healthzPort: number;
  readonly healthzHost?: string;
  readonly watchNamespace?: string;
  readonly defaultSslCertificate?: string;
  readonly tcpServicesConfigmap?: string;
  readonly udpServicesConfigmap?: string;
  readonly publishService?: string;
  readonly publishStatusAddress?: readonly string[];
  readonly updateStatus: boolean;
  readonly electionId: string;
  readonly disableLeaderElection?: boolean;
  readonly accessLog?: 'off' | 'json' | 'upstreaminfo';
  readonly engine: EngineName;
  readonly workers: number;
  readonly workerCpus?: readonly number[];
}

/** More threads than a host has cores serve nobody. */
const WORKERS_MAX = 256;

/** ingress-nginx's own names, so that its IngressClass and annotations are ours without a change. */
export const NGINX_CLASS = { ingressClass: 'nginx', controllerClass: 'k8s.io/ingress-nginx' } as const;

export function addObjectFlags(command: Command): Command {
  return command
    .option(
      '--kubeconfig <file>',
      'the API server to follow; default: the service account of the pod, else $KUBECONFIG',
    )
    .option('--from <path...>', 'manifests (file, folder or -) instead of an API server', manifestPath)
    .option(
      '--ingress-class <name>',
      'class name the legacy annotation is compared with',
      NGINX_CLASS.ingressClass,
    )
    .option(
      '--controller-class <name>',
      'spec.controller of the IngressClasses that are ours',
      NGINX_CLASS.controllerClass,
    )
    .option('--controller-name <name>', 'the same, by another name')
    .option(
      '--watch-ingress-without-class',
      'Ingresses without a class are ours too (with --from they always are)',
    )
    .option('--configmap <namespace/name>', "ConfigMap with ingress-nginx's settings", namespacedName)
    .option('--strict', "follow ingress-nginx's oddities to the letter");
}

export function addServeFlags(command: Command): Command {
  return command
    .option('--http <address:port>', 'listen here for HTTP (repeatable)', eachListen)
    .option('--https <address:port>', 'listen here for HTTPS (repeatable)', eachListen)
    .option('--http-port <port>', 'HTTP port on every address, without --http; 0 = no HTTP', port, 80)
    .option('--https-port <port>', 'HTTPS port on every address, without --https; 0 = no HTTPS', port, 443)
    .option('--healthz-port <port>', 'port of /healthz, /readyz and /metrics; 0 = none', port, 10_254)
    .option('--healthz-host <address>', 'address of that port; default: all')
    .option('--watch-namespace <name>', 'look at this namespace only')
    .option('--default-ssl-certificate <namespace/name>', 'Secret for names without one', namespacedName)
    .option('--tcp-services-configmap <namespace/name>', 'TCP ports and their services', namespacedName)
    .option('--udp-services-configmap <namespace/name>', 'UDP ports and their services', namespacedName)
    .option(
      '--publish-service <namespace/name>',
      'Service whose addresses become the status of Ingresses',
      namespacedName,
    )
    .option('--publish-status-address <list>', 'addresses or host names for that status', commaList)
    .option('--no-update-status', 'leave the status of Ingresses alone')
    .option('--election-id <name>', 'Lease whose holder writes the status', 'weft-ingress-leader')
    .option('--disable-leader-election', 'write the status without holding a Lease')
    .addOption(
      new Option(
        '--access-log <format>',
        'on standard output; default: upstreaminfo, with --from off',
      ).choices(['off', 'json', 'upstreaminfo']),
    )
    .addOption(
      new Option('--engine <name>', 'how HTTP/1.1 is served: native by system calls in a thread of its own')
        .choices(ENGINES)
        .default('auto', 'auto: native where the host lets it'),
    )
    .option('--workers <count>', 'threads of the native engine', workerCount, 1)
    .option('--worker-cpus <list>', 'processors that these threads are bound to, in turn: 0,1', cpuList);
}

/** spec.controller of the classes that are ours. */
export function controllerNameOf(flags: IngressObjectFlags): string {
  return flags.controllerName ?? flags.controllerClass;
}

/** Where to listen: what was named, else the port on all addresses. */
export function listenAddresses(flags: IngressFlags): { http: ListenAddress[]; https: ListenAddress[] } {
  const everywhere = (at: number): ListenAddress[] =>
    at === 0 ? [] : [{ host: hasIPv6() ? '::' : '0.0.0.0', port: at }];
  return {
    http: [...(flags.http ?? everywhere(flags.httpPort))],
    https: [...(flags.https ?? everywhere(flags.httpsPort))],
  };
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some(({ family }) => family === 'IPv6'));
}

/** Addresses as status entries: IPs are IPs, the rest are host names. */
export function statusEntries(addresses: readonly string[]): IngressLoadBalancerIngress[] {
  return addresses.map((text) => (familyOf(text) ? { ip: text } : { hostname: text }));
}

/** What clients on the network can reach: the bound address, or this host's first one when we listen on all. */
export function ownAddresses(listens: readonly ListenAddress[]): string[] {
  const named = listens.map(({ host }) => host).filter((host) => host !== '::' && host !== '0.0.0.0');
  if (named.length > 0) return [...new Set(named)];
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = own.find(({ internal, family }) => !internal && family === 'IPv4') ?? own[0];
  return outside ? [outside.address] : [];
}

function eachListen(text: string, previous: readonly ListenAddress[] = []): readonly ListenAddress[] {
  return [...previous, listenFlag(text)];
}

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 65_535)) throw new InvalidArgumentError('Use a port from 0 to 65535.');
  return value;
}

function workerCount(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > WORKERS_MAX)
    throw new InvalidArgumentError(`Use a number from 1 to ${WORKERS_MAX}.`);
  return count;
}

function namespacedName(text: string): string {
  if (!/^[a-z0-9][-a-z0-9]*\/[a-z0-9][-a-z0-9.]*$/.test(text))
    throw new InvalidArgumentError('Use NAMESPACE/NAME.');
  return text;
}

function commaList(text: string, previous?: readonly string[]): readonly string[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .reduce((list, part) => repeated(part, list), previous ?? []);
}
