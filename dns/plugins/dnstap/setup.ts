import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { splitHostPort } from '../../../src/net/ip.ts';
import { expectArgs, readInteger, readOptions } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { openDnstap } from './serve.ts';
import type { ReceiverAddress } from './sender.ts';

const MOST_TIMES = 4096;

/** `dnstap SOCKET [full] [WRITEBUFFER] [QUEUE] { identity ID, version V, extra TEXT, skipverify }`. */
export const dnstap: Directive = {
  name: 'dnstap',
  repeatable: true,
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, 4)) return undefined;
    const [socket, ...rest] = context.stanza.args;
    const full = rest[0]?.text === 'full';
    const [buffer, queue] = full ? rest.slice(1) : rest;
    const to = readReceiver(context, socket!);
    const times = (token: Token | undefined): number =>
      token ? (readInteger(context, token, 1, MOST_TIMES) ?? 1) : 1;
    const sizes = { writeBuffer: times(buffer), queue: times(queue) };
    const text = { identity: hostname(), version: 'weft', extra: '' };
    let skipVerify = false;
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
    });
    if (!to) return undefined;
    return (deps) =>
      openDnstap(deps, {
        to,
        ...sizes,
        full,
        skipVerify,
        extra: text.extra,
        identity: Buffer.from(text.identity),
        version: Buffer.from(text.version),
      });
  },
};

function readReceiver(context: SetupContext, token: Token): ReceiverAddress | undefined {
  const [, scheme = 'unix', rest = token.text] = /^([a-z]+):\/\/(.*)$/.exec(token.text) ?? [];
  if (scheme === 'unix') return { kind: 'unix', path: resolve(context.root, rest) };
  const split = splitHostPort(rest);
  if ((scheme === 'tcp' || scheme === 'tls') && split) return { kind: scheme, ...split };
  context.fault(token, `"${token.text}" is not a path, unix://PATH, tcp://HOST:PORT or tls://HOST:PORT`);
  return undefined;
}
