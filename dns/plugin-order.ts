import type { Directive } from './plugin.ts';
import { acl } from './plugins/acl/setup.ts';
import { any } from './plugins/any/setup.ts';
import { bufsize } from './plugins/bufsize/setup.ts';
import { cancel } from './plugins/cancel/setup.ts';
import { chaos } from './plugins/chaos/setup.ts';
import { https } from './plugins/https/setup.ts';
import { multisocket } from './plugins/multisocket/setup.ts';
import { shed } from './plugins/shed/setup.ts';
import { timeouts } from './plugins/timeouts/setup.ts';
import { header } from './plugins/header/setup.ts';
import { local } from './plugins/local/setup.ts';
import { minimal } from './plugins/minimal/setup.ts';
import { nsid } from './plugins/nsid/setup.ts';
import { whoami } from './plugins/whoami/setup.ts';
import { rewrite } from './plugins/rewrite/setup.ts';
import { dns64 } from './plugins/dns64/setup.ts';
import { template } from './plugins/template/setup.ts';
import { view } from './plugins/view/setup.ts';
import { auto } from './plugins/auto/setup.ts';
import { file } from './plugins/file/setup.ts';
import { secondary } from './plugins/secondary/setup.ts';
import { dnssec } from './plugins/dnssec/setup.ts';
import { dnstap } from './plugins/dnstap/setup.ts';
import { sign } from './plugins/sign/setup.ts';
import { erratic } from './plugins/erratic/setup.ts';
import { root } from './plugins/root/setup.ts';
import { autopath } from './plugins/autopath/setup.ts';
import { cache } from './plugins/cache/setup.ts';
import { hosts } from './plugins/hosts/setup.ts';
import { log } from './plugins/log/setup.ts';
import { transfer } from './plugins/transfer/setup.ts';
import { k8sExternal } from './plugins/k8s_external/setup.ts';
import { bind } from './plugins/bind/setup.ts';
import { debug } from './plugins/debug/setup.ts';
import { errors } from './plugins/errors/setup.ts';
import { families } from './plugins/families/setup.ts';
import { forward } from './plugins/forward/setup.ts';
import { health } from './plugins/health/setup.ts';
import { kubernetes } from './plugins/kubernetes/setup.ts';
import { loadbalance } from './plugins/loadbalance/setup.ts';
import { loop } from './plugins/loop/setup.ts';
import { metadata } from './plugins/metadata/setup.ts';
import { prometheus } from './plugins/prometheus/setup.ts';
import { ready } from './plugins/ready/setup.ts';
import { reload } from './plugins/reload/setup.ts';
import { tls } from './plugins/tls/setup.ts';
import { tsig } from './plugins/tsig/setup.ts';

/**
 * The order of execution, fixed for every Corefile (CoreDNS's plugin.cfg). Where a directive stands in the file does
 * not matter. To add a plugin, import its directive and put it in its place: nothing else lists them.
 */
export const PLUGIN_ORDER: readonly Directive[] = [
  root,
  metadata,
  cancel,
  tls,
  https,
  timeouts,
  multisocket,
  reload,
  nsid,
  bufsize,
  bind,
  debug,
  ready,
  health,
  shed,
  prometheus,
  errors,
  log,
  dnstap,
  local,
  dns64,
  any,
  chaos,
  loadbalance,
  tsig,
  rewrite,
  autopath,
  acl,
  cache,
  header,
  dnssec,
  minimal,
  template,
  transfer,
  hosts,
  k8sExternal,
  kubernetes,
  file,
  auto,
  secondary,
  families,
  loop,
  forward,
  erratic,
  whoami,
  sign,
  view,
];

/** Directives of CoreDNS that weft does not have, with what to do instead. */
export const ABSENT_DIRECTIVES: Readonly<Record<string, string>> = {
  etcd: 'SkyDNS trees in etcd are not served; use kubernetes, file or hosts',
  route53: 'cloud zones are not served; transfer the zone with secondary',
  azure: 'cloud zones are not served; transfer the zone with secondary',
  clouddns: 'cloud zones are not served; transfer the zone with secondary',
  geoip: 'no GeoIP data base is read; use view with client addresses',
  grpc: 'no gRPC upstreams; use forward with tls:// or https://',
  grpc_server: 'no gRPC transport; use tls:// or https:// server blocks',
  https3: 'no DNS over HTTP/3; use an https:// server block',
  quic: 'no DNS over QUIC; use a tls:// server block',
  pprof: 'profile with node --inspect or --cpu-prof',
  on: 'no external plugins are loaded',
  trace: 'see weft trace and weft resolve --trace',
  nomad: 'nomad services are not served',
  proxyproto:
    'PROXY headers are not read; let the load balancer keep client addresses (externalTrafficPolicy: Local)',
};
