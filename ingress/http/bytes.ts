/** Byte classes of RFC 9110 section 5 and RFC 3986, as tables: 1 = allowed. */
export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HT = 9;
export const COLON = 58;

function table(allowed: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (allowed(byte) ? 1 : 0));
}

const isAlphaNumeric = (byte: number): boolean => /[0-9A-Za-z]/.test(String.fromCharCode(byte));

/** tchar, RFC 9110 section 5.6.2. */
export const TOKEN = table(
  (byte) => isAlphaNumeric(byte) || (byte < 128 && "!#$%&'*+-.^_`|~".includes(String.fromCharCode(byte))),
);

/**
 * A method as we take it: capital letters, `-` and `_`, as nginx does. All registered ones are of these (RFC 9110 section 16.1); one in
 * small letters is another method by the letter, and the same one to backends that rules are to protect.
 */
export const METHOD = table((byte) => (byte >= 65 && byte <= 90) || byte === 45 || byte === 95);

/** field-content: VCHAR, obs-text, SP and HTAB; no other control (RFC 9110 section 5.5). */
export const FIELD_CONTENT = table((byte) => byte === HT || (byte >= SP && byte !== 127));

/** A request target as we take it: visible ASCII without `#`, and obs-text, which old clients send. */
export const TARGET = table((byte) => byte > SP && byte !== 127 && byte !== 35);

/** Value of a hexadecimal digit, 255 for others. */
export const HEX = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? 255 : digit;
});

/** True when text may be the method of a request. */
export function isMethod(text: string): boolean {
  return /^[A-Z_-]+$/.test(text);
}

/** True when text is a non-empty token. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++)
    if (TOKEN[text.charCodeAt(i) & 0xff] === 0 || text.charCodeAt(i) > 255) return false;
  return true;
}

/** True when text may stand as a field value on the wire (latin1, no controls). */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255 || FIELD_CONTENT[code] === 0) return false;
  }
  return true;
}
