import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as abi from '../../../src/net/native/abi.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';

/** Values of C expressions, by the host's own compiler and headers. */
function compiled(headers: readonly string[], expressions: readonly string[], before = '') {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'weft-abi-'));
  const source = join(folder.path, 'abi.c');
  const program = join(folder.path, 'abi');
  const lines = expressions.map((what) => `printf("%ld\\n", (long)(${what}));`);
  const includes = (names: readonly string[]): string => names.map((name) => `#include <${name}>\n`).join('');
  const own = includes(['stdio.h', 'stddef.h', 'stdint.h']);
  const text = `#define _GNU_SOURCE\n${own}${before}\n${includes(headers)}int main(void) {\n${lines.join('\n')}\n}\n`;
  writeFileSync(source, text);
  execFileSync('gcc', ['-o', program, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  const values = execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map(Number);
  return Object.fromEntries(expressions.map((what, i) => [what, values[i]]));
}

const hasCompiler = spawnSync('gcc', ['--version']).status === 0;
const offset = (struct: string, field: string): string => `offsetof(struct ${struct}, ${field})`;

test('structs lie in memory as the C library lays them', (context) => {
  if (!hasCompiler) context.skip('gcc is missing');
  const wanted = {
    [offset('msghdr', 'msg_name')]: abi.MSGHDR.NAME,
    [offset('msghdr', 'msg_namelen')]: abi.MSGHDR.NAME_BYTES,
    [offset('msghdr', 'msg_iov')]: abi.MSGHDR.IOV,
    [offset('msghdr', 'msg_iovlen')]: abi.MSGHDR.IOV_COUNT,
    [offset('msghdr', 'msg_control')]: abi.MSGHDR.CONTROL,
    [offset('msghdr', 'msg_controllen')]: abi.MSGHDR.CONTROL_BYTES,
    [offset('msghdr', 'msg_flags')]: abi.MSGHDR.FLAGS,
    [offset('mmsghdr', 'msg_len')]: abi.MMSGHDR.LENGTH,
    'sizeof(struct mmsghdr)': abi.MMSGHDR.BYTES,
    [offset('iovec', 'iov_base')]: abi.IOVEC.BASE,
    [offset('iovec', 'iov_len')]: abi.IOVEC.LENGTH,
    'sizeof(struct iovec)': abi.IOVEC.BYTES,
    [offset('sockaddr_in', 'sin_family')]: abi.SOCKADDR.FAMILY,
    [offset('sockaddr_in', 'sin_port')]: abi.SOCKADDR.PORT,
    [offset('sockaddr_in', 'sin_addr')]: abi.SOCKADDR.V4,
    [offset('sockaddr_in6', 'sin6_addr')]: abi.SOCKADDR.V6,
    'sizeof(struct sockaddr_in)': abi.SOCKADDR.V4_BYTES,
    'sizeof(struct sockaddr_in6)': abi.SOCKADDR.V6_BYTES,
    [offset('cmsghdr', 'cmsg_len')]: abi.CMSG.LENGTH,
    [offset('cmsghdr', 'cmsg_level')]: abi.CMSG.LEVEL,
    [offset('cmsghdr', 'cmsg_type')]: abi.CMSG.TYPE,
    'CMSG_LEN(0)': abi.CMSG.DATA,
    [offset('epoll_event', 'data')]: abi.EPOLL_EVENT.DATA,
    'sizeof(struct epoll_event)': abi.EPOLL_EVENT.BYTES,
  };
  const headers = ['sys/socket.h', 'netinet/in.h', 'sys/epoll.h'];
  expect(compiled(headers, Object.keys(wanted))).toEqual(wanted);
});

test.for([['x64'], ['arm64']] as const)(
  'the kernel headers lay an epoll event so on %s',
  ([arch], context) => {
    if (!hasCompiler) context.skip('gcc is missing');
    const wanted = {
      [offset('epoll_event', 'data')]: abi.EPOLL_EVENTS[arch].DATA,
      'sizeof(struct epoll_event)': abi.EPOLL_EVENTS[arch].BYTES,
    };
    // that header asks for the architecture by this word alone; the types it needs are this machine's
    const types = '#include <linux/types.h>\n';
    const before = arch === 'x64' ? types : `${types}#undef __x86_64__\n`;
    expect(compiled(['linux/eventpoll.h'], Object.keys(wanted), before)).toEqual(wanted);
  },
);

test('numbers are those of the headers that both architectures share', (context) => {
  if (!hasCompiler) context.skip('gcc is missing');
  const wanted = {
    SOL_SOCKET: abi.SOL_SOCKET,
    SO_REUSEADDR: abi.SO_REUSEADDR,
    SO_ERROR: abi.SO_ERROR,
    SO_SNDBUF: abi.SO_SNDBUF,
    SO_RCVBUF: abi.SO_RCVBUF,
    SO_LINGER: abi.SO_LINGER,
    SO_REUSEPORT: abi.SO_REUSEPORT,
    ...ERRNO,
  };
  const headers = ['asm-generic/socket.h', 'asm-generic/errno.h'];
  expect(compiled(headers, Object.keys(wanted))).toEqual(wanted);
});
