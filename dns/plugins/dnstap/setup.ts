import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { splitHostPort } from '../../../src/net/ip.ts';
import { expectArgs, readInteger, readOptions } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { TlsFiles } from '../../block-settings.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import type { TapAddress } from './address.ts';
import type { DnstapOptions } from './serve.ts';

const QUEUE_MOST = 4096;
const WRITE_BUFFER_MOST = 1024;

/**
 * `dnstap SOCKET [full] [WRITEBUFFER] [QUEUE] { identity ID, version V, extra TEXT, skipverify }`, or
 * `dnstap listen SOCKET [full] { identity ID, version V, extra TEXT, tls CERT KEY [CA], skipverify }`.
 */
export const dnstap: Directive = {
  name: 'dnstap',
  repeatable: true,
  setup(context) {
    const listens = context.stanza.args[0]?.text === 'listen';
    if (!expectArgs(context, context.stanza, listens ? 2 : 1, listens ? 3 : 4)) return undefined;
    const [socket, ...rest] = context.stanza.args.slice(listens ? 1 : 0);
    const full = rest[0]?.text === 'full';
    const numbers = full ? rest.slice(1) : rest;
    const at = readAddress(context, socket!);
    const options = readBody(context, listens);
    const way = listens ? readListen(context, at, options, numbers) : readSend(context, at, options, numbers);
    if (!way) return undefined;
    const { identity, version, extra } = options;
    const text = { identity: Buffer.from(identity), version: Buffer.from(version) };
    return async (deps) => {
      const { openDnstap } = await import('./serve.ts');
      return await openDnstap(deps, { way, full, extra, ...text });
    };
  },
};

interface Body {
  readonly identity: string;
  readonly version: string;
  readonly extra: string;
  readonly skipVerify: boolean;
  readonly tls: Line | undefined;
}

function readBody(context: SetupContext, listens: boolean): Body {
  const text = { identity: hostname(), version: 'weft', extra: '' };
  let skipVerify = false;
  let tls: Line | undefined;
  const word = (line: Line): void => {
    if (expectArgs(context, line, 1, 1)) text[line.name.text as keyof typeof text] = line.args[0]!.text;
  };
  readOptions(context, {
    identity: word,
    version: word,
    extra: word,
    skipverify: (line) => {
      if (expectArgs(context, line, 0, 0)) skipVerify = true;
    },
    ...(listens && {
      tls: (line: Line) => {
        if (expectArgs(context, line, 2, 3)) tls = line;
      },
    }),
  });
  return { ...text, skipVerify, tls };
}

function readSend(
  context: SetupContext,
  to: TapAddress | undefined,
  { skipVerify }: Body,
  [buffer, queue]: readonly Token[],
): DnstapOptions['way'] | undefined {
  const times = (token: Token | undefined, most: number): number =>
    token ? (readInteger(context, token, 1, most) ?? 1) : 1;
  const sizes = { writeBuffer: times(buffer, WRITE_BUFFER_MOST), queue: times(queue, QUEUE_MOST) };
  return to && { send: { to, ...sizes, skipVerify } };
}

function readListen(
  context: SetupContext,
  at: TapAddress | undefined,
  { tls, skipVerify }: Body,
  [extra]: readonly Token[],
): DnstapOptions['way'] | undefined {
  if (extra) context.fault(extra, `"${extra.text}" is not "full", and listen takes no sizes`);
  if (!at) return undefined;
  if (at.kind !== 'tls') {
    if (tls) context.fault(tls.name, 'only a tls:// address has certificates');
    return { listen: { at, tls: undefined } };
  }
  if (!tls) {
    context.fault(context.stanza.name, 'a tls:// address needs "tls CERT KEY [CA]"');
    return undefined;
  }
  const [certFile, keyFile, caFile] = tls.args.map(({ text }) => resolve(context.root, text));
  const clientAuth: TlsFiles['clientAuth'] =
    caFile === undefined ? 'nocert' : skipVerify ? 'verify_if_given' : 'require_and_verify';
  return {
    listen: {
      at,
      tls: { certFile: certFile!, keyFile: keyFile!, caFile, keyLogFile: undefined, clientAuth },
    },
  };
}

function readAddress(context: SetupContext, token: Token): TapAddress | undefined {
  const [, scheme = 'unix', rest = token.text] = /^([a-z]+):\/\/(.*)$/.exec(token.text) ?? [];
  if (scheme === 'unix') return { kind: 'unix', path: resolve(context.root, rest) };
  const split = splitHostPort(rest);
  if ((scheme === 'tcp' || scheme === 'tls') && split) return { kind: scheme, ...split };
  context.fault(token, `"${token.text}" is not a path, unix://PATH, tcp://HOST:PORT or tls://HOST:PORT`);
  return undefined;
}
