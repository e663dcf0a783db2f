import { Fields } from '../http/fields.ts';
import { reasonPhrase } from '../http/status.ts';

/** An answer of our own. */
export interface Reply {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string;
  /** Which rule gave it, for logs and explain. */
  readonly why: string;
}

export function reply(status: number, why: string, ...fields: readonly (readonly [string, string])[]): Reply {
  const body = `<html>\r\n<head><title>${status} ${reasonPhrase(status)}</title></head>\r\n<body>\r\n<center><h1>${status} ${reasonPhrase(status)}</h1></center>\r\n<hr><center>weft</center>\r\n</body>\r\n</html>\r\n`;
  return {
    status,
    why,
    body: status === 204 || status === 304 ? '' : body,
    fields: Fields.of(['Content-Type', 'text/html'], ...fields),
  };
}

export function redirect(status: number, location: string, why: string): Reply {
  return reply(status, why, ['Location', urlText(location)]);
}

/** Nothing that does not belong in a URL gets into a header field, whatever it was made of. */
function urlText(location: string): string {
  return location.replaceAll(/[^\u0021-\u007e]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 256
      ? `%${code.toString(16).toUpperCase().padStart(2, '0')}`
      : encodeURIComponent(char.toWellFormed());
  });
}
