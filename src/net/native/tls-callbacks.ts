import koffi from 'koffi';
import { Arena } from './arena.ts';
import { binding } from './binding.ts';
import { tlsCalls } from './tls-calls.ts';

/** SSL_TLSEXT_ERR_* (openssl/tls1.h). */
const ALPN = { SELECTED: 0, ALERT_FATAL: 2 } as const;
const STATUS = { GIVEN: 0, NONE: 3 } as const;
/** SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP (openssl/tls1.h). */
const SET_STATUS_RESPONSE = 71;
/** Of the list of protocols that a client offers; whoever sends more is refused. */
const OFFER_BYTES_MAX = 2048;

const selectors = new Map<string, unknown>();
/** What selectors answer with, for as long as the thread lives. */
const answers: Arena[] = [];

/**
 * The callback of OpenSSL that selects one protocol (RFC 7301), made once a thread: it points to the name and says its
 * length. Clients that offer others only get the alert no_application_protocol.
 */
export function protocolSelector(protocol: string): unknown {
  const known = selectors.get(protocol);
  if (known !== undefined) return known;
  const { memcpy } = tlsCalls();
  const wanted = Buffer.from(protocol);
  const arena = new Arena(16 + 16 + wanted.length + 16 + OFFER_BYTES_MAX);
  const pointer = arena.allocate(8);
  const length = arena.allocate(1);
  const name = arena.allocate(wanted.length);
  const offer = arena.allocate(OFFER_BYTES_MAX);
  arena.bytes.set(wanted, name);
  arena.setPointer(pointer, name, wanted.length);
  arena.bytes[length] = wanted.length;
  answers.push(arena);
  const select = (_ssl: number, out: number, outLength: number, offered: number, size: number): number => {
    if (size > OFFER_BYTES_MAX) return ALPN.ALERT_FATAL;
    memcpy(arena.address(offer, size), offered, size);
    if (!isOffered(arena.bytes.subarray(offer, offer + size), wanted)) return ALPN.ALERT_FATAL;
    memcpy(out, arena.address(pointer, 8), 8);
    memcpy(outLength, arena.address(length, 1), 1);
    return ALPN.SELECTED;
  };
  const made = callback(select, ['uint64_t', 'uint64_t', 'uint64_t', 'uint64_t', 'unsigned int', 'uint64_t']);
  selectors.set(protocol, made);
  return made;
}

/** `list`: names, each behind an octet with its length. */
function isOffered(list: Uint8Array, name: Uint8Array): boolean {
  for (let at = 0; at < list.length; at += 1 + list[at]!) {
    if (list[at] === name.length && name.every((byte, i) => list[at + 1 + i] === byte)) return true;
  }
  return false;
}

let teller: unknown;
const staples = new Map<number, StapleSource>();

/** The OCSP response to show with a certificate now; undefined = none. Called in a handshake: it must not throw, or wait. */
export type StapleSource = () => Uint8Array | undefined;

/** Whom a context asks when a client wants to know the status of its certificate; undefined = nobody any more. */
export function setStapleSource(context: number, source: StapleSource | undefined): void {
  if (source) staples.set(context, source);
  else staples.delete(context);
}

/**
 * The callback of OpenSSL for clients that ask for the status of our certificate (RFC 6066 section 8), made once a thread. Its
 * argument is the context.
 */
export function statusTeller(): unknown {
  if (teller !== undefined) return teller;
  const { CRYPTO_malloc, memcpy, SSL_ctrl } = tlsCalls();
  const tell = (ssl: number, context: number): number => {
    const response = staples.get(context)?.();
    const sizeBytes = response?.length ?? 0;
    // OpenSSL frees it
    const copy = sizeBytes === 0 ? 0 : CRYPTO_malloc(sizeBytes, '', 0);
    if (!response || copy === 0) return STATUS.NONE;
    const arena = new Arena(sizeBytes);
    const at = arena.allocate(sizeBytes);
    arena.bytes.set(response, at);
    memcpy(copy, arena.address(at, sizeBytes), sizeBytes);
    SSL_ctrl(ssl, SET_STATUS_RESPONSE, sizeBytes, copy);
    return STATUS.GIVEN;
  };
  teller = callback(tell, ['uint64_t', 'uint64_t']);
  return teller;
}

let lenient: unknown;

/** The callback of OpenSSL that goes on whatever is wrong with a certificate: the result of the check stays to be asked for. */
export function lenientVerifier(): unknown {
  lenient ??= callback(() => 1, ['int', 'uint64_t']);
  return lenient;
}

/** What OpenSSL may call on the thread that made it. */
function callback(call: (...given: number[]) => number, parameters: string[]): unknown {
  return binding(() => koffi.register(call, koffi.pointer(koffi.proto('int', parameters))));
}
