/**
 * Domain names as text: fully qualified, with the trailing dot, case kept, the characters that would be
 * ambiguous escaped as `\.` or `\DDD` (RFC 1035 5.1). Equal names have equal `foldName`.
 */
export const MAX_NAME_BYTES = 255;
export const MAX_LABEL_BYTES = 63;

/** Printable and not special in zone text; the dots between labels included. */
const PLAIN = /^[!#%-'*-:<-?A-[\]-~]*$/;

/** Lower case of ASCII letters only (RFC 4343). */
export function foldName(name: string): string {
  return name.toLowerCase();
}

/** Text of one label from its bytes, escaped. */
export function labelText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0x2e || byte === 0x5c || byte === 0x22 || byte === 0x28 || byte === 0x29) {
      text += '\\' + String.fromCharCode(byte);
    } else if (byte === 0x3b || byte === 0x40 || byte === 0x24) text += '\\' + String.fromCharCode(byte);
    else if (byte <= 0x20 || byte >= 0x7f) text += '\\' + String(byte).padStart(3, '0');
    else text += String.fromCharCode(byte);
  }
  return text;
}

/** Splits into labels, escapes kept; the root has none. */
export function splitLabels(name: string): string[] {
  if (name === '.' || name === '') return [];
  const body = name.endsWith('.') && !endsEscaped(name) ? name.slice(0, -1) : name;
  if (!body.includes('\\')) return body.split('.');
  const labels: string[] = [];
  let start = 0;
  for (let i = 0; i < body.length; i++) {
    if (body[i] === '\\') i++;
    else if (body[i] === '.') {
      labels.push(body.slice(start, i));
      start = i + 1;
    }
  }
  labels.push(body.slice(start));
  return labels;
}

export function joinLabels(labels: readonly string[]): string {
  return labels.length === 0 ? '.' : labels.join('.') + '.';
}

export function labelCount(name: string): number {
  return splitLabels(name).length;
}

/** True when name is the zone or lies below it. Case does not matter. */
export function isWithin(name: string, zone: string): boolean {
  if (zone === '.') return true;
  const a = foldName(name);
  const b = foldName(zone);
  if (a === b) return true;
  if (!a.endsWith(b)) return false;
  const dot = a.length - b.length - 1;
  return a[dot] === '.' && !isEscapedAt(a, dot);
}

/** The labels of name left of zone, which must contain it. */
export function labelsBelow(name: string, zone: string): string[] {
  const labels = splitLabels(name);
  return labels.slice(0, labels.length - labelCount(zone));
}

/** The part of name that spells the zone, in the case of name. */
export function zoneAsAsked(name: string, zone: string): string {
  return zone === '.' ? '.' : name.slice(name.length - zone.length);
}

/** The parent name; the root's parent is the root. */
export function parentName(name: string): string {
  return joinLabels(splitLabels(name).slice(1));
}

/** Adds the trailing dot if it is missing. */
export function absoluteName(name: string): string {
  return name.endsWith('.') && !endsEscaped(name) ? name : name + '.';
}

/** Bytes of a label's text; undefined when empty, too long or badly escaped. */
export function labelBytes(label: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < label.length; i++) {
    if (label[i] !== '\\') {
      const code = label.charCodeAt(i);
      if (code > 255) return undefined;
      bytes.push(code);
      continue;
    }
    const digits = /^\d{3}/.exec(label.slice(i + 1, i + 4))?.[0];
    if (digits) {
      if (Number(digits) > 255) return undefined;
      bytes.push(Number(digits));
      i += 3;
    } else if (i + 1 < label.length) bytes.push(label.charCodeAt(++i));
    else return undefined;
  }
  return bytes.length === 0 || bytes.length > MAX_LABEL_BYTES ? undefined : Uint8Array.from(bytes);
}

/** Uncompressed wire form; undefined when the text is no valid name. */
export function nameToWire(name: string): Uint8Array | undefined {
  const out: number[] = [];
  for (const label of splitLabels(name)) {
    const bytes = labelBytes(label);
    if (!bytes) return undefined;
    out.push(bytes.length, ...bytes);
  }
  out.push(0);
  return out.length > MAX_NAME_BYTES ? undefined : Uint8Array.from(out);
}

/** Checked, absolute and in canonical escaping; undefined when it is no name. */
export function parseName(text: string): string | undefined {
  if (text === '.') return text;
  const name = absoluteName(text);
  const wire = nameToWire(name);
  if (!wire) return undefined;
  if (PLAIN.test(name)) return name;
  let out = '';
  for (let at = 0; wire[at] !== 0; at += wire[at]! + 1) {
    out += labelText(wire, at + 1, at + 1 + wire[at]!) + '.';
  }
  return out || '.';
}

function endsEscaped(name: string): boolean {
  return isEscapedAt(name, name.length - 1);
}

function isEscapedAt(name: string, at: number): boolean {
  let slashes = 0;
  for (let i = at - 1; i >= 0 && name[i] === '\\'; i--) slashes++;
  return slashes % 2 === 1;
}
