import { Fault } from '../../base/fault.ts';

const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines without their newline; empty lines are left out, a last line without a
 * newline counts. Faults: API_REPLY_TOO_LARGE when a line exceeds maxBytes.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let sizeBytes = 0;
  const take = (last: Uint8Array): string => {
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    sizeBytes = 0;
    return decoder.decode(whole);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = take(chunk.subarray(start, end));
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (start === chunk.length) continue;
    const rest = chunk.subarray(start);
    sizeBytes += rest.length;
    if (sizeBytes > maxBytes) {
      throw new Fault('API_REPLY_TOO_LARGE', `a watch event exceeds ${maxBytes} bytes`);
    }
    parts.push(rest);
  }
  const last = take(new Uint8Array(0));
  if (last.trim() !== '') yield last;
}
