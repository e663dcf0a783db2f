import koffi from 'koffi';
import { Fault } from '../../base/fault.ts';
import { binding } from './binding.ts';

/** OpenSSL as the running executable exports it. Handles are addresses, 0 is none. Pointers are addresses out of an Arena. */
interface TlsCalls {
  readonly TLS_server_method: () => number;
  readonly SSL_CTX_new: (method: number) => number;
  readonly SSL_CTX_free: (context: number) => void;
  readonly SSL_CTX_ctrl: (context: number, command: number, value: number, pointer: number) => number;
  readonly SSL_CTX_callback_ctrl: (context: number, command: number, callback: unknown) => number;
  readonly SSL_ctrl: (ssl: number, command: number, value: number, pointer: number) => number;
  /** OPENSSL_malloc: what OpenSSL is to free itself. 0 = there is no memory. */
  readonly CRYPTO_malloc: (sizeBytes: number, file: string, line: number) => number;
  readonly SSL_CTX_set_options: (context: number, options: number) => number;
  readonly SSL_CTX_set_cipher_list: (context: number, names: string) => number;
  readonly SSL_CTX_set_ciphersuites: (context: number, names: string) => number;
  readonly SSL_CTX_set_alpn_select_cb: (context: number, callback: unknown, argument: number) => void;
  readonly SSL_CTX_use_certificate: (context: number, certificate: number) => number;
  readonly SSL_CTX_use_PrivateKey: (context: number, key: number) => number;
  readonly SSL_CTX_check_private_key: (context: number) => number;
  readonly SSL_CTX_set_timeout: (context: number, seconds: number) => number;
  readonly SSL_CTX_set_session_id_context: (context: number, from: number, sizeBytes: number) => number;
  readonly SSL_CTX_set_verify: (context: number, mode: number, callback: unknown) => void;
  readonly SSL_CTX_set_verify_depth: (context: number, depth: number) => void;
  readonly SSL_CTX_get_cert_store: (context: number) => number;
  readonly SSL_CTX_add_client_CA: (context: number, certificate: number) => number;
  readonly X509_STORE_add_cert: (store: number, certificate: number) => number;
  readonly BIO_new_mem_buf: (from: number, sizeBytes: number) => number;
  readonly BIO_free: (bio: number) => number;
  readonly PEM_read_bio_X509: (bio: number, into: number, callback: number, phrase: number) => number;
  readonly PEM_read_bio_PrivateKey: (bio: number, into: number, callback: number, phrase: number) => number;
  readonly X509_free: (certificate: number) => void;
  readonly EVP_PKEY_free: (key: number) => void;
  readonly SSL_new: (context: number) => number;
  readonly SSL_free: (ssl: number) => void;
  readonly SSL_set_fd: (ssl: number, fd: number) => number;
  readonly SSL_set_accept_state: (ssl: number) => void;
  readonly SSL_do_handshake: (ssl: number) => number;
  readonly SSL_read: (ssl: number, into: number, sizeBytes: number) => number;
  readonly SSL_write: (ssl: number, from: number, sizeBytes: number) => number;
  readonly SSL_has_pending: (ssl: number) => number;
  readonly SSL_get_rbio: (ssl: number) => number;
  readonly BIO_number_read: (bio: number) => number;
  readonly SSL_shutdown: (ssl: number) => number;
  readonly SSL_get_error: (ssl: number, result: number) => number;
  readonly SSL_get_version: (ssl: number) => string;
  readonly SSL_get_current_cipher: (ssl: number) => number;
  readonly SSL_CIPHER_get_name: (cipher: number) => string;
  readonly SSL_get_verify_result: (ssl: number) => number;
  /** Not to be freed. */
  readonly SSL_get0_peer_certificate: (ssl: number) => number;
  /** Writes where `into` points to, and moves that on; 0 = says the size only. */
  readonly i2d_X509: (certificate: number, into: number) => number;
  readonly ERR_peek_error: () => number;
  readonly ERR_clear_error: () => void;
  readonly ERR_reason_error_string: (code: number) => string | null;
  /** libc's, to answer OpenSSL where it points to. */
  readonly memcpy: (to: number, from: number, sizeBytes: number) => number;
}

/** Layouts and constants below are those of OpenSSL 3: major version in the upper four bits. */
const VERSION_MIN = 0x3000_0000;

let calls: TlsCalls | undefined;

/** Loaded at first use, once a thread. Throws Fault NATIVE_UNSUPPORTED where this Node exports no OpenSSL 3. */
export function tlsCalls(): TlsCalls {
  calls ??= binding(load);
  return calls;
}

function load(): TlsCalls {
  const self = koffi.load(null);
  const call = (signature: string): unknown => self.func(signature);
  let version: number;
  let loaded: TlsCalls;
  try {
    version = (call('unsigned long OpenSSL_version_num()') as () => number)();
    loaded = bindAll(call);
  } catch (cause) {
    throw new Fault('NATIVE_UNSUPPORTED', 'this Node exports no OpenSSL', { cause });
  }
  if (version < VERSION_MIN)
    throw new Fault('NATIVE_UNSUPPORTED', `OpenSSL 3 is needed, not version 0x${version.toString(16)}`);
  return loaded;
}

function bindAll(call: (signature: string) => unknown): TlsCalls {
  return {
    TLS_server_method: call('uint64_t TLS_server_method()'),
    SSL_CTX_new: call('uint64_t SSL_CTX_new(uint64_t method)'),
    SSL_CTX_free: call('void SSL_CTX_free(uint64_t context)'),
    SSL_CTX_ctrl: call('long SSL_CTX_ctrl(uint64_t context, int command, long value, uint64_t pointer)'),
    SSL_CTX_callback_ctrl: call('long SSL_CTX_callback_ctrl(uint64_t context, int command, void *callback)'),
    SSL_ctrl: call('long SSL_ctrl(uint64_t ssl, int command, long value, uint64_t pointer)'),
    CRYPTO_malloc: call('uint64_t CRYPTO_malloc(size_t sizeBytes, const char *file, int line)'),
    SSL_CTX_set_options: call('uint64_t SSL_CTX_set_options(uint64_t context, uint64_t options)'),
    SSL_CTX_set_cipher_list: call('int SSL_CTX_set_cipher_list(uint64_t context, const char *names)'),
    SSL_CTX_set_ciphersuites: call('int SSL_CTX_set_ciphersuites(uint64_t context, const char *names)'),
    SSL_CTX_set_alpn_select_cb: call(
      'void SSL_CTX_set_alpn_select_cb(uint64_t context, void *callback, uint64_t argument)',
    ),
    SSL_CTX_use_certificate: call('int SSL_CTX_use_certificate(uint64_t context, uint64_t certificate)'),
    SSL_CTX_use_PrivateKey: call('int SSL_CTX_use_PrivateKey(uint64_t context, uint64_t key)'),
    SSL_CTX_check_private_key: call('int SSL_CTX_check_private_key(uint64_t context)'),
    SSL_CTX_set_timeout: call('long SSL_CTX_set_timeout(uint64_t context, long seconds)'),
    SSL_CTX_set_session_id_context: call(
      'int SSL_CTX_set_session_id_context(uint64_t context, uint64_t from, unsigned int sizeBytes)',
    ),
    SSL_CTX_set_verify: call('void SSL_CTX_set_verify(uint64_t context, int mode, void *callback)'),
    SSL_CTX_set_verify_depth: call('void SSL_CTX_set_verify_depth(uint64_t context, int depth)'),
    SSL_CTX_get_cert_store: call('uint64_t SSL_CTX_get_cert_store(uint64_t context)'),
    SSL_CTX_add_client_CA: call('int SSL_CTX_add_client_CA(uint64_t context, uint64_t certificate)'),
    X509_STORE_add_cert: call('int X509_STORE_add_cert(uint64_t store, uint64_t certificate)'),
    BIO_new_mem_buf: call('uint64_t BIO_new_mem_buf(uint64_t from, int sizeBytes)'),
    BIO_free: call('int BIO_free(uint64_t bio)'),
    PEM_read_bio_X509: call(
      'uint64_t PEM_read_bio_X509(uint64_t bio, uint64_t into, uint64_t callback, uint64_t phrase)',
    ),
    PEM_read_bio_PrivateKey: call(
      'uint64_t PEM_read_bio_PrivateKey(uint64_t bio, uint64_t into, uint64_t callback, uint64_t phrase)',
    ),
    X509_free: call('void X509_free(uint64_t certificate)'),
    EVP_PKEY_free: call('void EVP_PKEY_free(uint64_t key)'),
    SSL_new: call('uint64_t SSL_new(uint64_t context)'),
    SSL_free: call('void SSL_free(uint64_t ssl)'),
    SSL_set_fd: call('int SSL_set_fd(uint64_t ssl, int fd)'),
    SSL_set_accept_state: call('void SSL_set_accept_state(uint64_t ssl)'),
    SSL_do_handshake: call('int SSL_do_handshake(uint64_t ssl)'),
    SSL_read: call('int SSL_read(uint64_t ssl, uint64_t into, int sizeBytes)'),
    SSL_write: call('int SSL_write(uint64_t ssl, uint64_t from, int sizeBytes)'),
    SSL_has_pending: call('int SSL_has_pending(uint64_t ssl)'),
    SSL_get_rbio: call('uint64_t SSL_get_rbio(uint64_t ssl)'),
    BIO_number_read: call('uint64_t BIO_number_read(uint64_t bio)'),
    SSL_shutdown: call('int SSL_shutdown(uint64_t ssl)'),
    SSL_get_error: call('int SSL_get_error(uint64_t ssl, int result)'),
    SSL_get_version: call('const char *SSL_get_version(uint64_t ssl)'),
    SSL_get_current_cipher: call('uint64_t SSL_get_current_cipher(uint64_t ssl)'),
    SSL_CIPHER_get_name: call('const char *SSL_CIPHER_get_name(uint64_t cipher)'),
    SSL_get_verify_result: call('long SSL_get_verify_result(uint64_t ssl)'),
    SSL_get0_peer_certificate: call('uint64_t SSL_get0_peer_certificate(uint64_t ssl)'),
    i2d_X509: call('int i2d_X509(uint64_t certificate, uint64_t into)'),
    ERR_peek_error: call('unsigned long ERR_peek_error()'),
    ERR_clear_error: call('void ERR_clear_error()'),
    ERR_reason_error_string: call('const char *ERR_reason_error_string(unsigned long code)'),
    memcpy: call('uint64_t memcpy(uint64_t to, uint64_t from, uint64_t sizeBytes)'),
  } as TlsCalls;
}

/** What OpenSSL says about the call of this thread that failed last; its queue is empty afterwards. */
export function takeTlsError(): string {
  const { ERR_peek_error, ERR_reason_error_string, ERR_clear_error } = tlsCalls();
  const code = ERR_peek_error();
  const reason = code === 0 ? 'no reason given' : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason ?? `error 0x${code.toString(16)}`;
}
