import { Arena } from './arena.ts';
import type { ByteStream } from './byte-stream.ts';
import { ERRNO, type CallResult, type Failure } from './errno.ts';
import type { StreamSocket } from './stream-socket.ts';
import { verdictName } from './certificate-verdict.ts';
import { takeTlsError, tlsCalls } from './tls-calls.ts';
import type { TlsContext } from './tls-context.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** SSL_get_error (openssl/ssl.h). */
const ERROR = { WANT_READ: 2, WANT_WRITE: 3, SYSCALL: 5, ZERO_RETURN: 6 } as const;
/** OpenSSL asks the kernel for more than this at a time: a record of full length and what is around it. */
const READ_BYTES_MIN = 16_384;

/** What a client showed, as it was checked in the handshake that made the session. */
export interface ClientCertificate {
  readonly der: Uint8Array;
  /** `OK`, or why it is not trusted, as node:tls names it: `CERT_HAS_EXPIRED`. */
  readonly verdict: string;
}

/** Calls of OpenSSL in one read: a peer that puts each byte into a record of its own costs a microsecond a byte. */
const CALLS_A_READ = 256;

/**
 * TLS on a connection, as its server. OpenSSL reads and writes the descriptor itself; nothing here blocks. A failure of the
 * protocol is -EPROTO and the end of the connection: all calls after it fail the same way.
 */
export class TlsStream implements ByteStream, Disposable {
  readonly #stream: StreamSocket;
  readonly #sessions: TlsSessions;
  readonly #calls = tlsCalls();
  /** 0 once freed. */
  #ssl: number;
  /** Its BIO, which counts what was read. */
  readonly #input: number;
  /** That count when last nothing was left to read, here or in the kernel. */
  #emptyAt = 0;
  #isReady = false;
  #isBroken = false;
  #hasEnded = false;
  #readNeedsRoom = false;
  #hasMore = false;
  #error = '';

  private constructor(stream: StreamSocket, sessions: TlsSessions, ssl: number) {
    this.#stream = stream;
    this.#sessions = sessions;
    this.#ssl = ssl;
    this.#input = this.#calls.SSL_get_rbio(ssl);
  }

  /** Takes the connection over, before its first byte was read. -ENOMEM: it is still the caller's. */
  static accept(stream: StreamSocket, context: TlsContext, sessions: TlsSessions): TlsStream | Failure {
    const { SSL_new, SSL_set_fd, SSL_set_accept_state, SSL_free } = tlsCalls();
    const ssl = context.handle === 0 || stream.fd < 0 ? 0 : SSL_new(context.handle);
    if (ssl === 0 || SSL_set_fd(ssl, stream.fd) !== 1) {
      if (ssl !== 0) SSL_free(ssl);
      takeTlsError();
      return -ERRNO.ENOMEM;
    }
    SSL_set_accept_state(ssl);
    sessions.note(stream.fd, ssl);
    return new TlsStream(stream, sessions, ssl);
  }

  get fd(): number {
    return this.#stream.fd;
  }

  get readNeedsRoom(): boolean {
    return this.#readNeedsRoom;
  }

  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Why it failed, in OpenSSL's words. */
  get error(): string {
    return this.#error;
  }

  /** Once the handshake is done: `TLSv1.3`, and the cipher by its name in OpenSSL. */
  get facts(): { readonly protocol: string; readonly cipher: string } {
    if (!this.#isReady || this.#ssl === 0) return { protocol: '', cipher: '' };
    const { SSL_get_version, SSL_get_current_cipher, SSL_CIPHER_get_name } = this.#calls;
    const cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(this.#ssl));
    return { protocol: SSL_get_version(this.#ssl), cipher };
  }

  /** The certificate that the client gave, once the handshake is done; undefined = none. */
  get client(): ClientCertificate | undefined {
    if (!this.#isReady || this.#ssl === 0) return undefined;
    const { SSL_get0_peer_certificate, SSL_get_verify_result, i2d_X509 } = this.#calls;
    const certificate = SSL_get0_peer_certificate(this.#ssl);
    const sizeBytes = certificate === 0 ? 0 : i2d_X509(certificate, 0);
    if (sizeBytes <= 0) return undefined;
    const arena = new Arena(16 + sizeBytes + 16);
    const pointer = arena.allocate(8);
    const at = arena.allocate(sizeBytes);
    arena.setPointer(pointer, at, sizeBytes);
    i2d_X509(certificate, arena.address(pointer, 8));
    const verdict = verdictName(SSL_get_verify_result(this.#ssl));
    return { der: arena.bytes.slice(at, at + sizeBytes), verdict };
  }

  /** Goes on with the handshake: 0 done, -EAGAIN it waits for the peer, or for room. */
  handshake(): 0 | Failure {
    const refused = this.#refusal();
    if (refused < 0) return refused;
    const result = this.#calls.SSL_do_handshake(this.#ssl);
    if (result !== 1) return this.#failure(result) || -ERRNO.EPROTO;
    this.#isReady = true;
    return 0;
  }

  receive(arena: Arena, at: number, sizeBytes: number): CallResult {
    const refused = this.#refusal();
    if (refused < 0) return refused;
    let got = 0;
    this.#hasMore = false;
    for (let calls = 0; got < sizeBytes; calls++) {
      if (calls === CALLS_A_READ) {
        this.#hasMore = true;
        break;
      }
      const left = sizeBytes - got;
      const result = this.#calls.SSL_read(this.#ssl, arena.address(at + got, left), left);
      if (result > 0) {
        got += result;
        if (got < sizeBytes && this.#wasAll()) break;
        continue;
      }
      const failure = this.#failure(result);
      if (got > 0) return got; // the end, or a failure, comes again
      return failure;
    }
    return got;
  }

  send(arena: Arena, at: number, sizeBytes: number): CallResult {
    const refused = this.#refusal();
    if (refused < 0) return refused;
    let sent = 0;
    while (sent < sizeBytes) {
      const left = sizeBytes - sent;
      const result = this.#calls.SSL_write(this.#ssl, arena.address(at + sent, left), left);
      if (result <= 0) {
        const failure = this.#failure(result) || -ERRNO.EPIPE;
        return sent > 0 && failure === -ERRNO.EAGAIN ? sent : failure;
      }
      sent += result;
    }
    return sent;
  }

  /** close_notify (RFC 8446 section 6.1), then FIN. */
  endWriting(): 0 | Failure {
    this.#sayFarewell();
    return this.#stream.endWriting();
  }

  end(): void {
    this.#sayFarewell();
    this.close();
  }

  /** Without close_notify: the peer sees that something may be missing. */
  close(): void {
    if (this.#ssl === 0) return;
    this.#sessions.free(this.#stream.fd, this.#ssl);
    this.#ssl = 0;
    this.#stream.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Nothing is left: of fewer bytes than it asks for no read can have been a full one, so the last one took all there was.
   * Spares the read that would find nothing.
   */
  #wasAll(): boolean {
    const count = this.#calls.BIO_number_read(this.#input);
    if (count - this.#emptyAt >= READ_BYTES_MIN || this.#calls.SSL_has_pending(this.#ssl) === 1) return false;
    this.#emptyAt = count;
    return true;
  }

  #refusal(): 0 | Failure {
    if (this.#ssl === 0) return -ERRNO.EBADF;
    return this.#isBroken ? -ERRNO.EPROTO : 0;
  }

  #sayFarewell(): void {
    if (this.#hasEnded || this.#ssl === 0) return;
    this.#hasEnded = true;
    if (!this.#isReady || this.#isBroken) return;
    // one try: a peer that has left no room for it does not listen
    if (this.#calls.SSL_shutdown(this.#ssl) < 0) this.#calls.ERR_clear_error();
  }

  /** What a call came to that returned 0 or less: 0 = the peer has ended. The error queue is empty afterwards. */
  #failure(result: number): 0 | Failure {
    const error = this.#calls.SSL_get_error(this.#ssl, result);
    this.#readNeedsRoom = error === ERROR.WANT_WRITE;
    if (error === ERROR.WANT_READ && this.#calls.SSL_has_pending(this.#ssl) === 0)
      this.#emptyAt = this.#calls.BIO_number_read(this.#input);
    if (error === ERROR.WANT_READ || error === ERROR.WANT_WRITE) return -ERRNO.EAGAIN;
    if (error === ERROR.ZERO_RETURN) return 0;
    this.#isBroken = true;
    this.#error = error === ERROR.SYSCALL ? 'connection lost' : takeTlsError();
    if (error === ERROR.SYSCALL) this.#calls.ERR_clear_error();
    return -ERRNO.EPROTO;
  }
}
