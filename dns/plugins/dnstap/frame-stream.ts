import { CONTROL_FRAME_BYTES } from './limits.ts';

/** Frame Streams (fstrm), the transport of dnstap: data frames behind their length, control frames behind a zero. */
export const CONTROL = { ACCEPT: 1, START: 2, STOP: 3, READY: 4, FINISH: 5 } as const;
export type ControlType = (typeof CONTROL)[keyof typeof CONTROL];

const CONTENT_TYPE_FIELD = 1;
const CONTENT_TYPE = Buffer.from('protobuf:dnstap.Dnstap');

export function dataFrame(payload: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(4 + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.set(payload, 4);
  return frame;
}

/** READY and START name the content type; the others have no fields. */
export function controlFrame(type: ControlType): Uint8Array {
  const named = type === CONTROL.READY || type === CONTROL.START;
  const frame = Buffer.alloc(12 + (named ? 8 + CONTENT_TYPE.length : 0));
  frame.writeUInt32BE(0, 0);
  frame.writeUInt32BE(frame.length - 8, 4);
  frame.writeUInt32BE(type, 8);
  if (!named) return frame;
  frame.writeUInt32BE(CONTENT_TYPE_FIELD, 12);
  frame.writeUInt32BE(CONTENT_TYPE.length, 16);
  frame.set(CONTENT_TYPE, 20);
  return frame;
}

export type ReadControl =
  | { readonly kind: 'control'; readonly type: number; readonly takesDnstap: boolean }
  | { readonly kind: 'more' }
  | { readonly kind: 'fault'; readonly reason: string };

/** Reads the receiver's control frames; a receiver sends no data. */
export class ControlReader {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
  }

  next(): ReadControl {
    const bytes = this.#bytes;
    if (bytes.length < 8) return { kind: 'more' };
    const length = bytes.readUInt32BE(4);
    if (bytes.readUInt32BE(0) !== 0) return { kind: 'fault', reason: 'the receiver sends data' };
    if (length < 4 || length > CONTROL_FRAME_BYTES)
      return { kind: 'fault', reason: 'a control frame is malformed' };
    if (bytes.length < 8 + length) return { kind: 'more' };
    this.#bytes = bytes.subarray(8 + length);
    return readControl(bytes.subarray(8, 8 + length));
  }
}

function readControl(body: Buffer): ReadControl {
  const contentTypes: Buffer[] = [];
  for (let at = 4; at < body.length;) {
    if (at + 8 > body.length) return { kind: 'fault', reason: 'a control field is cut' };
    const length = body.readUInt32BE(at + 4);
    if (at + 8 + length > body.length) return { kind: 'fault', reason: 'a control field is cut' };
    if (body.readUInt32BE(at) === CONTENT_TYPE_FIELD)
      contentTypes.push(body.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  const takesDnstap = contentTypes.length === 0 || contentTypes.some((each) => each.equals(CONTENT_TYPE));
  return { kind: 'control', type: body.readUInt32BE(0), takesDnstap };
}
