import { resolve } from 'node:path';
import { expectArgs, readOptions, readWord } from '../../corefile/options.ts';
import type { TlsFiles } from '../../block-settings.ts';
import type { Directive } from '../../plugin.ts';

const CLIENT_AUTH = ['nocert', 'request', 'require', 'verify_if_given', 'require_and_verify'] as const;

/** `tls CERT KEY [CA] { client_auth WORD, keylog FILE }`: for the tls:// and https:// keys of the block. */
export const tls: Directive = {
  name: 'tls',
  setup(context) {
    const automatic = context.stanza.body?.find(({ name }) => name.text === 'acme');
    if (automatic) {
      context.fault(
        automatic.name,
        'certificates are not fetched here; let another program (cert-manager, lego) write them to files',
      );
      return undefined;
    }
    if (!expectArgs(context, context.stanza, 2, 3)) return undefined;
    const [certFile, keyFile, caFile] = context.stanza.args.map(({ text }) => resolve(context.root, text));
    let clientAuth: TlsFiles['clientAuth'] = 'nocert';
    let keyLogFile: string | undefined;
    readOptions(context, {
      keylog: (line) => {
        if (expectArgs(context, line, 1, 1)) keyLogFile = resolve(context.root, line.args[0]!.text);
      },
      client_auth: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        clientAuth = readWord(context, line.args[0]!, CLIENT_AUTH) ?? clientAuth;
      },
    });
    context.block.tls = { certFile: certFile!, keyFile: keyFile!, caFile, keyLogFile, clientAuth };
    return undefined;
  },
};
