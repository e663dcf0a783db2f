/** The CRI log format: `TIME STREAM TAG TEXT`, tag F for a full line and P for a part of a long one. */
export type LogStream = 'stdout' | 'stderr';

export interface LogLine {
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly stream: LogStream;
  readonly partial: boolean;
  readonly text: string;
}

const NEWLINE = 10;

/** `2026-01-02T03:04:05.678000000Z`, of a fixed length so that the texts sort as the times do. */
export function logTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, -1)}000000Z`;
}

export function parseLogLine(line: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP]) ?([\s\S]*)$/.exec(line);
  if (!match) return undefined;
  return {
    time: match[1] ?? '',
    stream: match[2] === 'stderr' ? 'stderr' : 'stdout',
    partial: match[3] === 'P',
    text: match[4] ?? '',
  };
}

/**
 * Cuts a stream of bytes into CRI lines. Holds at most maxLineBytes of an unfinished line; a longer one
 * leaves in parts.
 */
export class LineFramer {
  readonly #stream: LogStream;
  readonly #maxLineBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: LogStream, maxLineBytes: number) {
    this.#stream = stream;
    this.#maxLineBytes = maxLineBytes;
  }

  push(chunk: Buffer, time: string): Buffer {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const out: Buffer[] = [];
    let start = 0;
    while (start < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline;
      while (end - start > this.#maxLineBytes) {
        this.#add(out, 'P', bytes.subarray(start, start + this.#maxLineBytes), time);
        start += this.#maxLineBytes;
      }
      if (newline < 0) break;
      this.#add(out, 'F', bytes.subarray(start, end), time);
      start = newline + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(start));
    return Buffer.concat(out);
  }

  /** What came without a newline at the end of the stream. */
  end(time: string): Buffer {
    const out: Buffer[] = [];
    if (this.#rest.length > 0) this.#add(out, 'F', this.#rest, time);
    this.#rest = Buffer.alloc(0);
    return Buffer.concat(out);
  }

  #add(out: Buffer[], tag: 'F' | 'P', text: Buffer, time: string): void {
    out.push(Buffer.from(`${time} ${this.#stream} ${tag} `), text, Buffer.from('\n'));
  }
}
