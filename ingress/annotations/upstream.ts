import { isAuthority } from '../http/framing.ts';
import type { BackendProtocol, UpstreamPolicy, UpstreamTlsPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

/** Rows 26 to 28 and part of 33: backend-protocol, proxy-ssl-*, upstream-vhost, x-forwarded-prefix, service-upstream, proxy-http-version. */
export function readUpstream(
  read: AnnotationReader,
  settings: GlobalSettings,
): {
  upstream: UpstreamPolicy;
  closed: string | undefined;
} {
  const protocol = readProtocol(read);
  const tls = readTls(read);
  const vhost = read.expression('upstream-vhost');
  const prefix = read.expression('x-forwarded-prefix');
  const version = read.oneOf('proxy-http-version', ['1.0', '1.1']);
  const upstream: UpstreamPolicy = {
    protocol: protocol ?? 'HTTP',
    httpVersion: version === '1.0' ? 10 : 11,
    vhost: vhost === undefined || isAuthority(vhost) ? vhost : read.refuse('upstream-vhost', 'is no host'),
    forwardedPrefix: prefix === '' ? undefined : prefix,
    serviceUpstream: read.bool('service-upstream') ?? settings.serviceUpstream,
    tls,
    connectionHeader: read.fieldValue('connection-proxy-header'),
  };
  read.differs(
    'connection-proxy-header',
    'connections are kept or closed by framing alone; only "close" has an effect',
  );
  const closed = ['proxy-ssl-verify', 'proxy-ssl-secret'].find((name) => read.wasRefused(name));
  return { upstream, closed };
}

function readProtocol(read: AnnotationReader): BackendProtocol | undefined {
  const protocol = read.oneOf('backend-protocol', ['HTTP', 'HTTPS', 'AUTO_HTTP', 'GRPC', 'GRPCS', 'FCGI']);
  if (protocol === 'FCGI')
    return read.refuse('backend-protocol', 'FastCGI is not spoken; put a web server before the application');
  return protocol;
}

function readTls(read: AnnotationReader): UpstreamTlsPolicy | undefined {
  const names = [
    'proxy-ssl-secret',
    'proxy-ssl-verify',
    'proxy-ssl-name',
    'proxy-ssl-server-name',
    'proxy-ssl-ciphers',
    'proxy-ssl-protocols',
    'proxy-ssl-verify-depth',
  ];
  if (!names.some((name) => read.has(name))) return undefined;
  const protocols = read.text('proxy-ssl-protocols')?.split(/\s+/);
  read.integer('proxy-ssl-verify-depth');
  read.differs('proxy-ssl-verify-depth', "chains are verified to OpenSSL's own limit");
  return {
    secret: read.reference('proxy-ssl-secret'),
    verify: read.bool('proxy-ssl-verify') ?? false,
    name: read.expression('proxy-ssl-name'),
    serverName: read.bool('proxy-ssl-server-name') ?? false,
    ciphers: readCiphers(read, 'proxy-ssl-ciphers'),
    minVersion: protocols === undefined ? undefined : protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3',
  };
}

/** An OpenSSL cipher list. */
export function readCiphers(read: AnnotationReader, name: string): string | undefined {
  const text = read.text(name);
  if (text === undefined) return undefined;
  return /^[A-Za-z0-9!@:+_=-]{1,1024}$/.test(text) ? text : read.refuse(name, 'is no cipher list');
}
