import tls from 'node:tls';
import { Fault } from '../../base/fault.ts';
import { Arena } from './arena.ts';
import {
  lenientVerifier,
  protocolSelector,
  setStapleSource,
  type StapleSource,
  statusTeller,
} from './tls-callbacks.ts';
import { takeTlsError, tlsCalls } from './tls-calls.ts';

/** Key name, HMAC key and AES key of session tickets (RFC 5077 section 4), as OpenSSL takes them. */
export const TICKET_KEYS_BYTES = 80;

/** openssl/ssl.h.in and tls1.h. */
const CTRL = {
  MODE: 33,
  READ_AHEAD: 41,
  SESSION_CACHE_MODE: 44,
  MAX_CERTIFICATES_BYTES: 51,
  TICKET_KEYS: 59,
  STATUS_CALLBACK: 63,
  STATUS_CALLBACK_ARGUMENT: 64,
  ADD_CHAIN_CERTIFICATE: 89,
  MIN_VERSION: 123,
} as const;
const MODE = { PARTIAL_WRITE: 1, MOVING_WRITE_BUFFER: 2, NO_AUTO_CHAIN: 8, RELEASE_BUFFERS: 16 } as const;
const MODES = MODE.PARTIAL_WRITE | MODE.MOVING_WRITE_BUFFER | MODE.NO_AUTO_CHAIN | MODE.RELEASE_BUFFERS;
/** The end of a connection is an end, with close_notify or without: what is carried says where it ends. */
const OPTION = {
  IGNORE_UNEXPECTED_EOF: 1 << 7,
  NO_COMPRESSION: 1 << 17,
  SERVER_PREFERENCE: 1 << 22,
  NO_RENEGOTIATION: 1 << 30,
} as const;
const OPTIONS =
  OPTION.IGNORE_UNEXPECTED_EOF | OPTION.NO_COMPRESSION | OPTION.SERVER_PREFERENCE | OPTION.NO_RENEGOTIATION;
const VERSIONS = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;
/** Tickets hold the session; nothing is kept here. */
const NO_SESSION_CACHE = 0;
/** A certificate that a client once had is believed as long as its ticket: as nginx's ssl_session_timeout. */
const TICKET_LIFETIME_SECONDS = 300;
/** Of the certificates that a client shows: OpenSSL makes room for what it is told will come. */
const CLIENT_CHAIN_BYTES_MAX = 32 * 1024;
/** SSL_VERIFY_PEER: asks, and takes clients that have none. */
const VERIFY_PEER = 1;
/** Sessions of contexts that ask for certificates need a name; what keeps them apart is their ticket keys. */
const SESSION_CONTEXT = Buffer.from('weft');

export interface TlsContextOptions {
  /** PEM: the certificate, then its chain. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL names, colons between, those of TLS 1.3 among them; undefined = Node's. Ours come first. */
  readonly ciphers: string | undefined;
  /** TICKET_KEYS_BYTES: threads with the same resume one another's sessions. */
  readonly ticketKeys: Uint8Array;
  /** Selected when a client offers protocols (RFC 7301); those that offer only others are refused. */
  readonly protocol: string;
  /** Whether certificates of clients are asked for; what came of it is the stream's `client`. */
  readonly clients?: TlsClients | undefined;
  /** Asked in the handshake of each client that wants the certificate's status. */
  readonly staple?: StapleSource | undefined;
}

/** How certificates of clients are checked. Nobody is refused for them here. */
export interface TlsClients {
  /** PEM, any number of them; empty = none is trusted. */
  readonly authorities: string;
  /** Certificates between the client's and an authority's; undefined = OpenSSL's own limit. */
  readonly depthMax: number | undefined;
}

/** How TLS is spoken as a server: an SSL_CTX. Connections that began with it may outlive it. */
export class TlsContext implements Disposable {
  #handle: number;

  private constructor(handle: number) {
    this.#handle = handle;
  }

  /** Throws Fault TLS_CONTEXT with OpenSSL's reason, NATIVE_UNSUPPORTED. */
  static open(options: TlsContextOptions): TlsContext {
    const calls = tlsCalls();
    const handle = calls.SSL_CTX_new(calls.TLS_server_method());
    if (handle === 0) throw tlsFault('SSL_CTX_new');
    const context = new TlsContext(handle);
    try {
      setManner(handle, options);
      setPair(handle, options);
      if (options.clients) setClients(handle, options.clients);
      if (options.staple) setStatus(handle, options.staple);
      return context;
    } catch (error) {
      context[Symbol.dispose]();
      throw error;
    }
  }

  /** Throws what `open` would throw on this host whatever the options. */
  static prove(): void {
    tlsCalls();
  }

  /** For the streams of this room; 0 once disposed. */
  get handle(): number {
    return this.#handle;
  }

  [Symbol.dispose](): void {
    if (this.#handle === 0) return;
    setStapleSource(this.#handle, undefined);
    tlsCalls().SSL_CTX_free(this.#handle);
    this.#handle = 0;
  }
}

function setManner(handle: number, options: TlsContextOptions): void {
  const { SSL_CTX_ctrl, SSL_CTX_set_options, SSL_CTX_set_timeout, SSL_CTX_set_alpn_select_cb } = tlsCalls();
  SSL_CTX_set_options(handle, OPTIONS);
  SSL_CTX_ctrl(handle, CTRL.MODE, MODES, 0);
  SSL_CTX_ctrl(handle, CTRL.READ_AHEAD, 1, 0);
  SSL_CTX_ctrl(handle, CTRL.SESSION_CACHE_MODE, NO_SESSION_CACHE, 0);
  SSL_CTX_set_timeout(handle, TICKET_LIFETIME_SECONDS);
  must('minimum version', SSL_CTX_ctrl(handle, CTRL.MIN_VERSION, VERSIONS[options.minVersion], 0));
  setCiphers(handle, options.ciphers ?? tls.DEFAULT_CIPHERS);
  const { arena, at } = stored(options.ticketKeys);
  if (options.ticketKeys.length !== TICKET_KEYS_BYTES)
    throw new Fault('TLS_CONTEXT', 'ticket keys: bad length');
  const keys = arena.address(at, TICKET_KEYS_BYTES);
  must('ticket keys', SSL_CTX_ctrl(handle, CTRL.TICKET_KEYS, TICKET_KEYS_BYTES, keys));
  SSL_CTX_set_alpn_select_cb(handle, protocolSelector(options.protocol), 0);
}

/** As node:tls splits them; without one for TLS 1.2 there is only TLS 1.3. */
function setCiphers(handle: number, ciphers: string): void {
  const { SSL_CTX_set_cipher_list, SSL_CTX_set_ciphersuites, SSL_CTX_ctrl } = tlsCalls();
  const names = ciphers.split(':').filter((name) => name !== '');
  const suites = names.filter((name) => name.startsWith('TLS_'));
  const older = names.filter((name) => !name.startsWith('TLS_'));
  if (suites.length > 0) must('ciphers', SSL_CTX_set_ciphersuites(handle, suites.join(':')));
  if (older.length > 0) must('ciphers', SSL_CTX_set_cipher_list(handle, older.join(':')));
  else SSL_CTX_ctrl(handle, CTRL.MIN_VERSION, VERSIONS['TLSv1.3'], 0);
}

function setPair(handle: number, { cert, key }: TlsContextOptions): void {
  const calls = tlsCalls();
  // a phrase is given, an empty one: else OpenSSL asks for it at the terminal
  const { arena, at } = stored(Buffer.of(0));
  const phrase = arena.address(at, 1);
  readPem(cert, (bio) => {
    const leaf = calls.PEM_read_bio_X509(bio, 0, 0, phrase);
    if (leaf === 0) throw tlsFault('certificate');
    const used = calls.SSL_CTX_use_certificate(handle, leaf);
    calls.X509_free(leaf);
    must('certificate', used);
    // the context owns them from here on
    eachCertificate(bio, phrase, (link) => {
      must('chain', calls.SSL_CTX_ctrl(handle, CTRL.ADD_CHAIN_CERTIFICATE, 0, link));
    });
  });
  readPem(key, (bio) => {
    const read = calls.PEM_read_bio_PrivateKey(bio, 0, 0, phrase);
    if (read === 0) throw tlsFault('key');
    const used = calls.SSL_CTX_use_PrivateKey(handle, read);
    calls.EVP_PKEY_free(read);
    must('key', used);
  });
  must('key', calls.SSL_CTX_check_private_key(handle));
}

function setClients(handle: number, { authorities, depthMax }: TlsClients): void {
  const calls = tlsCalls();
  const context = stored(SESSION_CONTEXT);
  const name = context.arena.address(context.at, context.sizeBytes);
  must('session context', calls.SSL_CTX_set_session_id_context(handle, name, context.sizeBytes));
  calls.SSL_CTX_ctrl(handle, CTRL.MAX_CERTIFICATES_BYTES, CLIENT_CHAIN_BYTES_MAX, 0);
  calls.SSL_CTX_set_verify(handle, VERIFY_PEER, lenientVerifier());
  if (depthMax !== undefined) calls.SSL_CTX_set_verify_depth(handle, depthMax);
  if (authorities === '') return;
  const store = calls.SSL_CTX_get_cert_store(handle);
  const { arena, at } = stored(Buffer.of(0));
  readPem(authorities, (bio) => {
    eachCertificate(bio, arena.address(at, 1), (authority) => {
      const added =
        calls.X509_STORE_add_cert(store, authority) & calls.SSL_CTX_add_client_CA(handle, authority);
      calls.X509_free(authority);
      must('authority', added);
    });
  });
}

function setStatus(handle: number, staple: StapleSource): void {
  const { SSL_CTX_callback_ctrl, SSL_CTX_ctrl } = tlsCalls();
  must('status', SSL_CTX_callback_ctrl(handle, CTRL.STATUS_CALLBACK, statusTeller()));
  must('status', SSL_CTX_ctrl(handle, CTRL.STATUS_CALLBACK_ARGUMENT, 0, handle));
  setStapleSource(handle, staple);
}

/** Whoever is given one frees it. */
function eachCertificate(bio: number, phrase: number, take: (certificate: number) => void): void {
  const { PEM_read_bio_X509, ERR_clear_error } = tlsCalls();
  for (;;) {
    const certificate = PEM_read_bio_X509(bio, 0, 0, phrase);
    if (certificate === 0) break;
    take(certificate);
  }
  ERR_clear_error(); // that there is no further one is no error
}

function readPem(text: string, read: (bio: number) => void): void {
  const { BIO_new_mem_buf, BIO_free } = tlsCalls();
  const { arena, at, sizeBytes } = stored(Buffer.from(text));
  const bio = BIO_new_mem_buf(arena.address(at, sizeBytes), sizeBytes);
  if (bio === 0) throw tlsFault('PEM');
  try {
    read(bio);
  } finally {
    BIO_free(bio);
    arena.bytes.fill(0);
  }
}

/** A copy where OpenSSL may read it while the arena is held. */
function stored(bytes: Uint8Array): {
  readonly arena: Arena;
  readonly at: number;
  readonly sizeBytes: number;
} {
  const arena = new Arena(Math.max(1, bytes.length));
  const at = arena.allocate(bytes.length);
  arena.bytes.set(bytes, at);
  return { arena, at, sizeBytes: bytes.length };
}

function must(what: string, result: number): void {
  if (result <= 0) throw tlsFault(what);
}

function tlsFault(what: string): Fault {
  return new Fault('TLS_CONTEXT', `${what}: ${takeTlsError()}`);
}
