/** As a file of keys has it. */
export interface NamedKey {
  readonly name: string;
  /** Base64. */
  readonly secret: string;
  readonly algorithm: string | undefined;
}

export type KeyFile =
  | { readonly ok: true; readonly keys: readonly NamedKey[] }
  | { readonly ok: false; readonly line: number; readonly reason: string };

/** `key "name" { algorithm hmac-sha256; secret "..."; };` as in named.conf, any number of them; comments of all its kinds. */
export function readKeyFile(text: string): KeyFile {
  const words = wordsOf(text);
  const keys: NamedKey[] = [];
  let at = 0;
  /** About the word that was taken last. */
  const fail = (reason: string): KeyFile => ({
    ok: false,
    line: (words[at - 1] ?? words.at(-1))?.line ?? 1,
    reason,
  });
  const take = (): string | undefined => words[at++]?.text;
  while (at < words.length) {
    if (words[at]?.text === ';') {
      at++;
      continue;
    }
    if (take() !== 'key') return fail('expected "key"');
    const name = take();
    if (name === undefined || take() !== '{') return fail('expected a name and {');
    const fields: Record<string, string> = {};
    while (at < words.length && words[at]!.text !== '}') {
      const field = take()!;
      if (field === ';') continue;
      const value = take();
      if ((field !== 'algorithm' && field !== 'secret') || value === undefined) {
        return fail(`"${field}" is not algorithm or secret`);
      }
      fields[field] = value;
    }
    if (take() !== '}') return fail(`key ${name} is never closed`);
    const { secret, algorithm } = fields;
    if (secret === undefined) return fail(`key ${name} has no secret`);
    keys.push({ name, secret, algorithm });
  }
  return { ok: true, keys };
}

function wordsOf(text: string): { readonly text: string; readonly line: number }[] {
  const pattern = /#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|"([^"\n]*)"|([{};])|([^\s{};"#]+)|\n/g;
  const words: { text: string; line: number }[] = [];
  let line = 1;
  for (const [all, quoted, sign, bare] of text.matchAll(pattern)) {
    const word = quoted ?? sign ?? bare;
    if (word !== undefined) words.push({ text: word, line });
    line += all.split('\n').length - 1;
  }
  return words;
}
