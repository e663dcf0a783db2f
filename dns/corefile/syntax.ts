/** The Corefile as written: tokens with their place, lines of tokens, blocks of lines. No meaning yet. */
export interface Position {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
}

export interface Token {
  readonly text: string;
  readonly position: Position;
  /** Written in double quotes or backquotes: never a brace, never an import. */
  readonly quoted: boolean;
}

/** One line: its first word, the other words, and the braces behind it if there are any. */
export interface Line {
  readonly name: Token;
  readonly args: readonly Token[];
  readonly body: readonly Line[] | undefined;
}

/** `zone1 zone2:53 { directives }`. */
export interface BlockSyntax {
  readonly keys: readonly Token[];
  readonly directives: readonly Line[];
}

/** Something wrong in a configuration and where. */
export interface ConfigFault {
  readonly position: Position;
  readonly message: string;
}

/** `Corefile:3:5: unknown directive "kubernets"; did you mean "kubernetes"?` */
export function formatFault(fault: ConfigFault): string {
  const { file, line, column } = fault.position;
  return `${file}:${line}:${column}: ${fault.message}`;
}
