import { hostname } from 'node:os';
import { expectNoBody } from '../../corefile/options.ts';
import type { Directive, Plugin, PluginDeps } from '../../plugin.ts';
import { failure } from '../../query.ts';
import { record, replyTo } from '../../wire/message.ts';
import { stringBytes, byteString } from '../../wire/rdata-codec.ts';

const TEXT_BYTES = 255;

/** `chaos [VERSION] [AUTHORS...]`: TXT in class CH for version.bind, hostname.bind and the like. */
export const chaos: Directive = {
  name: 'chaos',
  setup(context) {
    expectNoBody(context);
    const [version = 'weft', ...authors] = context.stanza.args.map(({ text }) => text);
    return (deps) => openChaos(deps, version, authors.length > 0 ? authors : ['the authors of weft']);
  },
};

function openChaos({ random }: PluginDeps, version: string, authors: readonly string[]): Plugin {
  const answersOf = (name: string): readonly string[] | undefined => {
    switch (name) {
      case 'version.bind.':
      case 'version.server.':
        return [version];
      case 'hostname.bind.':
      case 'id.server.':
        return [hostname()];
      case 'authors.bind.':
        return authors
          .map((author) => ({ author, at: random() }))
          .sort((a, b) => a.at - b.at)
          .map(({ author }) => author);
      default:
        return undefined;
    }
  };
  return {
    name: 'chaos',
    transparent: true,
    classes: ['CH'],
    serve: (query, next) => {
      const { name, type, class: asked } = query.question;
      if (asked !== 'CH') return next(query);
      const texts = type === 'TXT' ? answersOf(query.name) : undefined;
      if (!texts) return failure('REFUSED', `class CH, ${type} ${name}`);
      const answers = texts.map((text) => ({
        ...record(name, 0, 'TXT', { texts: [fitting(text)] }),
        class: 'CH' as const,
      }));
      return { kind: 'reply', message: replyTo(query.request, { authoritative: true, answers }) };
    },
  };
}

function fitting(text: string): string {
  return byteString(stringBytes(Buffer.from(text).toString('latin1')).subarray(0, TEXT_BYTES));
}
