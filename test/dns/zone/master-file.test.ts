import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMasterFile, readMasterFileInTurns, type MasterFile } from '../../../dns/zone/master-file.ts';
import { ZoneData } from '../../../dns/zone/zone-data.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';

const FILES: Readonly<Record<string, string>> = {
  'more.db': '@ IN A 192.0.2.7\nsub A 192.0.2.8\n$ORIGIN elsewhere.\n',
  'loop.db': '$INCLUDE loop.db\n',
};

function read(text: string, origin = 'example.org.'): MasterFile {
  const include = (path: string): { name: string; text: string } | undefined =>
    FILES[path] === undefined ? undefined : { name: path, text: FILES[path] };
  return readMasterFile({ name: 'zone.db', text, include }, origin);
}

const lines = (text: string): string[] => read(text).records.map(formatRecord);
const faults = (text: string): string[] =>
  read(text).faults.map(({ file, line, reason }) => `${file}:${line}: ${reason}`);

describe('master files', () => {
  it('reads the example of RFC 1035 section 5.3', () => {
    const text = `@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        MX      10      VENERA
A       A       26.3.0.103
VENERA  A       10.1.0.52
        A       128.9.0.32
`;
    expect(lines(text)).toEqual([
      'example.org. 60 IN SOA VENERA.example.org. Action\\.domains.example.org. 20 7200 600 3600000 60',
      'example.org. 60 IN NS A.ISI.EDU.',
      'example.org. 60 IN MX 10 VENERA.example.org.',
      'A.example.org. 60 IN A 26.3.0.103',
      'VENERA.example.org. 60 IN A 10.1.0.52',
      'VENERA.example.org. 60 IN A 128.9.0.32',
    ]);
  });

  it.each<[string, string, string[]]>([
    ['$TTL and units', '$TTL 1h\nx A 192.0.2.1', ['x.example.org. 3600 IN A 192.0.2.1']],
    [
      'ttl and class in either order',
      'x IN 5 A 192.0.2.1\ny 6 IN A 192.0.2.2',
      ['x.example.org. 5 IN A 192.0.2.1', 'y.example.org. 6 IN A 192.0.2.2'],
    ],
    [
      'the ttl before it',
      'x 5 A 192.0.2.1\ny A 192.0.2.2',
      ['x.example.org. 5 IN A 192.0.2.1', 'y.example.org. 5 IN A 192.0.2.2'],
    ],
    ['$ORIGIN', '$ORIGIN sub\nx 1 A 192.0.2.1', ['x.sub.example.org. 1 IN A 192.0.2.1']],
    [
      'quotes, comments and semicolons',
      'x 1 TXT "a;b" c\\;d ; gone',
      ['x.example.org. 1 IN TXT "a;b" "c;d"'],
    ],
    [
      'brackets over lines',
      'x 1 TXT ( "a"\n "b" )\ny 1 A 192.0.2.1',
      ['x.example.org. 1 IN TXT "a" "b"', 'y.example.org. 1 IN A 192.0.2.1'],
    ],
    [
      'wildcards and escapes',
      '*.w 1 A 192.0.2.1\na\\.b 1 A 192.0.2.2',
      ['*.w.example.org. 1 IN A 192.0.2.1', 'a\\.b.example.org. 1 IN A 192.0.2.2'],
    ],
    ['unknown types', 'x 1 TYPE731 \\# 3 abcdef', ['x.example.org. 1 IN TYPE731 \\# 3 abcdef']],
    [
      'CRLF',
      'x 1 A 192.0.2.1\r\ny 1 A 192.0.2.2\r\n',
      ['x.example.org. 1 IN A 192.0.2.1', 'y.example.org. 1 IN A 192.0.2.2'],
    ],
    [
      '$INCLUDE, whose origin and owner end with it',
      '$TTL 1\nx A 192.0.2.1\n$INCLUDE more.db inc\n A 192.0.2.2',
      [
        'x.example.org. 1 IN A 192.0.2.1',
        'inc.example.org. 1 IN A 192.0.2.7',
        'sub.inc.example.org. 1 IN A 192.0.2.8',
        'x.example.org. 1 IN A 192.0.2.2',
      ],
    ],
    [
      '$GENERATE',
      '$GENERATE 8-10/2 host-${-7,3,d} 1 A 192.0.2.$',
      ['host-001.example.org. 1 IN A 192.0.2.8', 'host-003.example.org. 1 IN A 192.0.2.10'],
    ],
  ])('%s', (_what, text, wanted) => {
    expect(faults(text)).toEqual([]);
    expect(lines(text)).toEqual(wanted);
  });

  it('leaves records of other zones out', () => {
    const { records, outside } = read('x.other. 1 A 192.0.2.1\ny 1 A 192.0.2.2');
    expect([records.length, outside]).toEqual([1, 1]);
  });

  it.each([
    ['x 1 A 300.0.0.1', 'zone.db:1: the data of this A record cannot be read'],
    ['\nx 1 NOPE y', 'zone.db:2: "NOPE" is not a record type'],
    ['x 1 CH TXT y', 'zone.db:1: class CH is not served'],
    [' 1 A 192.0.2.1', 'zone.db:1: the first record has no owner'],
    ['x 1 TXT ( "a"', 'zone.db:1: "(" is never closed'],
    ['x 1 TXT "a', 'zone.db:1: a quote is never closed'],
    ['x 1 TXT a )', 'zone.db:1: ")" without "("'],
    ['$TTL x', 'zone.db:1: $TTL needs a number of seconds'],
    ['$NOPE', 'zone.db:1: $NOPE is not known'],
    ['$INCLUDE nothing.db', 'zone.db:1: cannot read "nothing.db"'],
    ['$INCLUDE loop.db', 'loop.db:1: files include one another deeper than 8'],
    ['$GENERATE 1-99999999 a$ A 1.1.1.1', 'zone.db:1: $GENERATE makes more than 65536 records'],
    [
      '$GENERATE 1-2 a${x} A 1.1.1.1',
      'zone.db:1: $GENERATE knows ${offset,width,base} with base d, o, x or X',
    ],
  ])('names file and line of %j', (text, fault) => expect(faults(text)).toEqual([fault]));

  it('reads or refuses any text without throwing', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '\n',
        ' ',
        '(',
        ')',
        '"',
        ';',
        '$TTL',
        '$GENERATE',
        '1-3',
        '$',
        '@',
        'A',
        'IN',
        'TXT',
        '192.0.2.1',
        '\\',
      ),
      fc.string({ maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const { records } = read(pieces.join(' '));
        for (const record of records) expect(formatRecord(record)).not.toBe('');
      }),
    );
  });

  it('lets others have their turn while it reads a big zone', async () => {
    const text = `@ 1 SOA a b 1 2 3 4 5\n${Array.from({ length: 4999 }, (_, i) => `h${i} 1 A 192.0.2.1`).join('\n')}`;
    let turns = 0;
    const turn = async (): Promise<void> => void turns++;
    const source = { name: 'big.db', text, include: () => undefined };
    const { records } = await readMasterFileInTurns(source, 'example.org.', turn);
    expect([records.length, turns]).toEqual([5000, 5]);
    const zone = await ZoneData.inTurns('example.org.', records, turn);
    expect([zone.size, turns]).toEqual([5000, 10]);
  });

  it('reads its own output back', () => {
    const text = '$TTL 9\n@ SOA a b 1 2 3 4 5\nx MX 1 y\nz TXT "q\\"uote" "\\200"\ns SRV 1 2 3 t\n';
    const first = lines(text);
    expect(lines(first.join('\n'))).toEqual(first);
  });
});
