/**
 * The path a request is matched by (RFC 3986 section 6.2.2): unreserved characters decoded, dot segments removed,
 * runs of slashes merged. The request itself is forwarded as received. A path that turns into another one when
 * decoded fully (`..%2f`, `%2e%2e%5c`) is refused: the backend might decode it and escape the rule.
 */
export function normalPath(target: string): string | undefined {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (!needsWork(path)) return path;
  const decoded = decodeUnreserved(path);
  if (decoded === undefined) return undefined;
  const resolved = removeDots(decoded);
  if (resolved === undefined || hidesDots(resolved)) return undefined;
  return resolved;
}

/** A percent sign, two slashes in a row, or a segment that starts with a dot. */
function needsWork(path: string): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 37 || code === 92 || (previous === 47 && (code === 47 || code === 46))) return true;
    previous = code;
  }
  return false;
}

/** Undefined for a percent sign without two digits, and for an encoded NUL. */
function decodeUnreserved(path: string): string | undefined {
  if (!path.includes('%')) return path;
  let broken = false;
  const decoded = path.replace(/%(..)?/gs, (whole, digits: string | undefined) => {
    if (digits === undefined || !/^[0-9A-Fa-f]{2}$/.test(digits) || digits === '00') {
      broken = true;
      return whole;
    }
    const char = String.fromCharCode(Number.parseInt(digits, 16));
    return /[A-Za-z0-9._~-]/.test(char) ? char : `%${digits.toUpperCase()}`;
  });
  return broken ? undefined : decoded;
}

/** Removes `.` and `..` and empty segments; undefined when `..` climbs over the root. */
function removeDots(path: string): string | undefined {
  const out: string[] = [];
  const parts = path.split('/');
  const last = parts.length - 1;
  for (let i = 1; i <= last; i++) {
    const part = parts[i]!;
    if (part === '..') {
      if (out.length === 0) return undefined;
      out.pop();
    } else if (part !== '.' && part !== '') out.push(part);
    else continue;
  }
  const end = parts[last]!;
  const slash = end === '' || end === '.' || end === '..';
  if (out.length === 0) return '/';
  return `/${out.join('/')}${slash ? '/' : ''}`;
}

/** Encoded separators next to dots: a segment that would climb if somebody decoded it. */
function hidesDots(path: string): boolean {
  if (!path.includes('%2F') && !path.includes('%5C') && !path.includes('\\')) return false;
  return path
    .replaceAll('%2F', '/')
    .replaceAll('%5C', '/')
    .replaceAll('\\', '/')
    .split('/')
    .some((part) => part === '..' || part === '.');
}
