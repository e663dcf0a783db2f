import { createHash } from 'node:crypto';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ROUNDS = 1000;

const md5 = (...parts: (string | Buffer)[]): Buffer => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The MD5 crypt of Apache (`$apr1$salt$hash`) and of crypt(3) (`$1$`), with the salt taken from `setting`. */
export function apr1(password: string, setting: string): string {
  const magic = setting.startsWith('$apr1$') ? '$apr1$' : '$1$';
  const salt = setting.slice(magic.length).split('$', 1)[0]!.slice(0, 8);
  const secret = Buffer.from(password);
  const inner = md5(secret, salt, secret);
  const parts: (string | Buffer)[] = [secret, magic, salt];
  for (let left = secret.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(16, left)));
  for (let bits = secret.length; bits > 0; bits >>= 1)
    parts.push(bits & 1 ? Buffer.of(0) : secret.subarray(0, 1));
  let digest = md5(...parts);
  for (let round = 0; round < ROUNDS; round++) {
    const step: (string | Buffer)[] = [round & 1 ? secret : digest];
    if (round % 3 !== 0) step.push(salt);
    if (round % 7 !== 0) step.push(secret);
    step.push(round & 1 ? digest : secret);
    digest = md5(...step);
  }
  return `${magic}${salt}$${encode(digest)}`;
}

function encode(digest: Buffer): string {
  let text = '';
  for (const [a, b, c] of [
    [0, 6, 12],
    [1, 7, 13],
    [2, 8, 14],
    [3, 9, 15],
    [4, 10, 5],
  ] as const) {
    text += base64(((digest[a]! << 16) | (digest[b]! << 8) | digest[c]!) >>> 0, 4);
  }
  return text + base64(digest[11]!, 2);
}

function base64(value: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += ALPHABET[(value >>> (6 * i)) & 63]!;
  return text;
}
