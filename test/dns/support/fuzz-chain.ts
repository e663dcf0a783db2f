import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage } from '../../../dns/wire/message.ts';
import { signMessage } from '../../../dns/wire/tsig.ts';
import { makeBindKey } from './bind-key.ts';
import { TestFolder } from './folder.ts';
import { fuzzPacket, randomFrom } from './fuzz-packets.ts';
import { faultIn, type FuzzResult } from './fuzz-server.ts';
import { openServer } from './server.ts';

const ZONE = `$TTL 60
@ SOA ns host 1 2 3 4 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
alias CNAME www
loop CNAME pool
pool CNAME loop
*.wild TXT "any"
sub NS ns.sub
ns.sub A 192.0.2.3
far DNAME other.z
mail MX 1 www
srv SRV 1 2 3 www
`;

const NAMES = [
  'z.',
  'www.z.',
  'alias.z.',
  'loop.z.',
  'a.b.wild.z.',
  'x.sub.z.',
  'deep.far.z.',
  `${'d'.repeat(63)}.${'e'.repeat(63)}.${'f'.repeat(63)}.far.z.`,
  'srv.z.',
  'none.z.',
  '10-0-0-7.made.',
  'bad.made.',
  'www.old.',
  'host.',
  'localhost.',
  'version.bind.',
  '1.0.0.127.in-addr.arpa.',
  '.',
];

const corefile = (folder: TestFolder): string => `. {
  tsig {
    secret key.z. ${Buffer.from('fuzz').toString('base64')} hmac-sha256
    require AXFR IXFR
  }
  metadata
  nsid fuzzed
  bufsize 1232
  log . "{remote} {name} {type} {>rflags} {rsize} {/view/name}"
  errors
  local
  dns64 {
    allow_ipv4
  }
  any
  chaos v1 a b
  loadbalance
  rewrite continue name suffix .old .z answer auto
  rewrite continue ttl regex (.*) 5-30
  rewrite continue edns0 local set 0xffee {qname} revert
  acl {
    block type HINFO
    filter type NAPTR
    drop net 198.51.100.0/24
  }
  cache
  header {
    response set ra
  }
  dnssec z {
    key file ${folder.at('Kz')}
  }
  minimal
  template IN A made {
    match ^(?P<ip>[0-9-]+)[.]made[.]$
    var ip replace(group('ip'), '-', '.')
    answer "{{ .Name }} 60 IN A {{ .Var.ip }}"
    fallthrough
  }
  transfer {
    to *
  }
  hosts {
    10.0.0.1 host
    fallthrough
  }
  file ${folder.at('db')} z
  whoami
}`;

/** As fuzzServer, for a chain of many plugins: no table to compare with, but every answer must be one. */
export async function fuzzChain(packets: number, seed: number): Promise<FuzzResult> {
  using folder = new TestFolder({ db: ZONE });
  const key = makeBindKey('z.', 'ED25519');
  folder.write('Kz.key', key.publicText);
  folder.write('Kz.private', key.privateText);
  await using on = await openServer(corefile(folder));
  const random = randomFrom(seed);
  const signal = new AbortController().signal;
  let answered = 0;
  for (let i = 0; i < packets; i++) {
    const bytes = packet(random);
    const host = random() < 0.05 ? '198.51.100.7' : random() < 0.3 ? '2001:db8::7' : '192.0.2.1';
    const client = { address: host, port: 4000 };
    const replies: Uint8Array[] = [];
    await new Promise<void>((resolve) => {
      const arrival = { transport: 'udp', client, server: client, signal } as const;
      on.server.answer(bytes, arrival, (one) => replies.push(one), resolve);
    });
    const fault = faultIn(bytes, replies, new Uint8Array(0));
    if (fault)
      throw new Error(`packet ${i} of seed ${seed}: ${fault}: ${Buffer.from(bytes).toString('hex')}`);
    if (replies.length > 0) answered++;
  }
  const threw = on.logs.find(({ event }) => event === 'plugin threw' || event === 'answer not sent');
  if (threw) throw new Error(`seed ${seed}: ${threw.event}: ${JSON.stringify(threw.fields)}`);
  return { packets, answered, fast: 0 };
}

const KEY = { name: 'key.z.', algorithm: 'hmac-sha256.', secret: Buffer.from('fuzz') } as const;

/** One in ten is signed, rightly or nearly so; some are NOTIFY. */
function packet(random: () => number): Uint8Array {
  if (random() < 0.03) {
    const question = { name: 'z.', type: 'SOA', class: 'IN' } as const;
    return encodeMessage(queryMessage(question, { opcode: 'NOTIFY', id: 7 }));
  }
  const bytes = fuzzPacket(random, NAMES);
  if (random() > 0.1 || bytes.length < 12) return bytes;
  const timeSeconds = Math.floor(Date.now() / 1000) - Math.floor(random() * 400);
  const signed = signMessage(KEY, bytes, { timeSeconds }).bytes;
  if (random() < 0.5) signed[Math.floor(random() * signed.length)]! ^= 1 << Math.floor(random() * 8);
  return signed;
}
