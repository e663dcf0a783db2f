import type { CliContext } from '../context.ts';

/** One line that says what is going on: rewritten in place on a terminal, each news once elsewhere. */
export class Progress {
  readonly #out: CliContext['stderr'];
  #last = '';

  constructor(out: CliContext['stderr']) {
    this.#out = out;
  }

  show(text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    this.#out.write(this.#out.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
  }

  clear(): void {
    if (this.#out.isTTY && this.#last !== '') this.#out.write('\r\u001b[K');
    this.#last = '';
  }
}
