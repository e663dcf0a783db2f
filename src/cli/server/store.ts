import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { once } from 'node:events';
import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { EtcdStore } from '../../store/etcd-store.ts';
import { exportLines, importLines, linesOf } from '../../store/export.ts';
import type { ExportSource, TransferTotals } from '../../store/export.ts';
import { openStore, splitStoreUrl } from '../../store/open.ts';
import type { SqliteSnapshot } from '../../store/sqlite/snapshot.ts';
import type { Store } from '../../store/store.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import type { CliContext, RegisterCommand } from '../context.ts';
import { storeUrl } from '../flags.ts';

const STORES = `
STORE is sqlite:FILE or etcd:URL,URL[?prefix=/weft&ca=FILE&cert=FILE&key=FILE].
check, export and backup also work on the file of a running weft; import and compact need it stopped.

Examples:
  weft store check sqlite:/var/lib/weft/store.db
  weft store backup sqlite:/var/lib/weft/store.db /backup/weft.db
  weft store export sqlite:/var/lib/weft/store.db --output weft.jsonl
  weft store import etcd:http://10.0.0.1:2379,http://10.0.0.2:2379 --input weft.jsonl
  weft store export sqlite:store.db | weft store import sqlite:copy.db
`;

export const register: RegisterCommand = (program, context) => {
  const store = program
    .command('store')
    .description('export, import, compact, check or back up a store')
    .addHelpText('after', STORES);
  const add = (name: string, summary: string): Command =>
    store.command(name).description(summary).argument('<STORE>', '', storeUrl).exitOverride();
  store.exitOverride();
  add('check', 'verify a store and show its sizes').action((url: string) => check(context, url));
  add('export', 'write all keys as lines of JSON')
    .option('--output <file>', 'write here instead of stdout', '-')
    .option('--prefix <prefix>', 'only keys that begin with this', '')
    .action((url: string, options: { output: string; prefix: string }) => exportStore(context, url, options));
  add('import', 'write the keys of an export')
    .option('--input <file>', 'read this instead of stdin', '-')
    .option('--overwrite', 'replace keys that exist', false)
    .action((url: string, options: { input: string; overwrite: boolean }) =>
      importStore(context, url, options),
    );
  add('compact', 'forget history, which makes room')
    .option('--keep <revisions>', 'history to keep for watches', '0')
    .action((url: string, options: { keep: string }) => compactStore(context, url, options));
  add('backup', 'copy a SQLite store, also while it is in use')
    .argument('<FILE>')
    .action((url: string, target: string) => backupStore(context, url, target));
};

async function check(context: CliContext, url: string): Promise<void> {
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme === 'sqlite') return printRows(context, snapshotRows(await readSnapshot(rest)));
  await using store = await open(context, url);
  const { revision, count, entries } = await store.range('');
  const valueBytes = entries.reduce((sum, entry) => sum + entry.value.byteLength, 0);
  printRows(context, [
    ['keys', String(count)],
    ['values', sizeText(valueBytes)],
    ['revision', String(revision)],
    ['compacted to', String(store.compactedRevision())],
    ...(await memberRows(store)),
    ['result', 'ok'],
  ]);
}

async function exportStore(
  context: CliContext,
  url: string,
  options: { output: string; prefix: string },
): Promise<void> {
  const totals: TransferTotals = { keys: 0, valueBytes: 0, revision: 0 };
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme === 'sqlite') {
    const { versions, leases } = await readSnapshot(rest);
    const ttlOf = new Map(leases.map((lease) => [String(lease.id), lease.ttlSeconds]));
    const source = { range: versions.range.bind(versions), leaseTtlSeconds: (id: string) => ttlOf.get(id) };
    await writeExport(context, source, options, totals);
  } else {
    await using store = await open(context, url);
    await writeExport(context, store, options, totals);
  }
  report(
    context,
    `exported ${totals.keys} keys, ${sizeText(totals.valueBytes)}, revision ${totals.revision}`,
  );
}

async function writeExport(
  context: CliContext,
  source: ExportSource,
  options: { output: string; prefix: string },
  totals: TransferTotals,
): Promise<void> {
  const lines = exportLines(source, options.prefix, totals);
  if (options.output === '-') {
    for await (const line of lines) context.stdout.write(line);
    return;
  }
  // 0600: an export holds the cluster's Secrets
  const file = createWriteStream(options.output, { flags: 'wx', mode: 0o600, flush: true });
  const failed = once(file, 'error').then(([error]) => {
    throw new ExitError(EXIT_FAILURE, `cannot write ${options.output}: ${messageOf(error)}`);
  });
  await Promise.race([failed, writeLines(file, lines)]);
}

async function writeLines(
  file: ReturnType<typeof createWriteStream>,
  lines: AsyncIterable<string>,
): Promise<void> {
  for await (const line of lines) if (!file.write(line)) await once(file, 'drain');
  file.end();
  await once(file, 'close');
}

async function importStore(
  context: CliContext,
  url: string,
  options: { input: string; overwrite: boolean },
): Promise<void> {
  if (splitStoreUrl(url).scheme === 'memory')
    throw new ExitError(EXIT_USAGE, 'memory: forgets what is imported');
  if (options.input !== '-' && !existsSync(options.input))
    throw new ExitError(EXIT_FAILURE, `there is no ${options.input}`);
  const chunks = options.input === '-' ? context.stdin : createReadStream(options.input);
  await using store = await open(context, url);
  const totals = await importLines(store, linesOf(chunks as AsyncIterable<Uint8Array>), options);
  report(
    context,
    `imported ${totals.keys} keys, ${sizeText(totals.valueBytes)}, revision ${totals.revision}`,
  );
}

async function compactStore(context: CliContext, url: string, options: { keep: string }): Promise<void> {
  if (!/^\d+$/.test(options.keep))
    throw new ExitError(EXIT_USAGE, `--keep ${options.keep}: give a number of revisions`);
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme === 'sqlite' && !existsSync(rest))
    throw new ExitError(EXIT_FAILURE, `there is no store ${rest}`);
  const before = await sizeOf(context, url);
  const compacted = await compactTo(context, url, Number(options.keep));
  const after = await sizeOf(context, url);
  printRows(context, [
    ['compacted to', String(compacted)],
    ['before', sizeText(before)],
    ['after', sizeText(after)],
  ]);
}

async function compactTo(context: CliContext, url: string, keepRevisions: number): Promise<number> {
  await using store = await open(context, url);
  await store.compact(Math.max(1, (await store.currentRevision()) - keepRevisions));
  return store.compactedRevision();
}

async function backupStore(context: CliContext, url: string, target: string): Promise<void> {
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme !== 'sqlite') {
    const advice =
      scheme === 'etcd' ? 'etcd has its own: etcdctl snapshot save; or use weft store export' : '';
    throw new ExitError(EXIT_USAGE, `backup copies sqlite:FILE. ${advice}`.trim());
  }
  const { backupSqliteFile } = await import('../../store/sqlite/snapshot.ts');
  await backupSqliteFile(rest, target);
  const copy = await readSnapshot(target);
  const { keyCount, revision } = copy.versions;
  report(
    context,
    `backed up and verified ${keyCount} keys, ${sizeText(copy.fileBytes)}, revision ${revision}`,
  );
}

async function open(context: CliContext, url: string): Promise<Store> {
  return await openStore({ clock: systemClock, log: context.log }, url);
}

async function readSnapshot(path: string): Promise<SqliteSnapshot> {
  const { readSqliteSnapshot } = await import('../../store/sqlite/snapshot.ts');
  return readSqliteSnapshot(path);
}

/** Bytes of a file with its log, or those in use by the largest member of an etcd. */
async function sizeOf(context: CliContext, url: string): Promise<number> {
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme === 'sqlite') {
    const sizes = [rest, `${rest}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return sizes[0]! + sizes[1]!;
  }
  await using store = await open(context, url);
  const members = isEtcd(store) ? await store.memberStatus() : [];
  return Math.max(0, ...members.map((member) => member.usedBytes));
}

async function memberRows(store: Store): Promise<[string, string][]> {
  if (!isEtcd(store)) return [];
  return (await store.memberStatus()).map(({ address, version, sizeBytes, usedBytes }) => [
    `member ${address}`,
    version ? `etcd ${version}, ${sizeText(sizeBytes)}, ${sizeText(usedBytes)} in use` : 'does not answer',
  ]);
}

function isEtcd(store: Store): store is EtcdStore {
  return 'memberStatus' in store;
}

function snapshotRows(snapshot: SqliteSnapshot): [string, string][] {
  const { versions } = snapshot;
  return [
    ['keys', String(versions.keyCount)],
    ['values', sizeText(versions.valueBytes)],
    ['revision', String(versions.revision)],
    ['compacted to', String(versions.compacted)],
    ['history', `${versions.log.size} revisions, ${sizeText(versions.historyBytes)}`],
    ['leases', String(snapshot.leases.length)],
    ['file', `${sizeText(snapshot.fileBytes)}, ${sizeText(snapshot.freeBytes)} free in it`],
    ['log', sizeText(snapshot.logBytes)],
    ['result', 'ok'],
  ];
}

function printRows(context: CliContext, rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) context.stdout.write(`${name.padEnd(width)}  ${value}\n`);
}

/** For people; stdout may carry the export itself. */
function report(context: CliContext, text: string): void {
  context.stderr.write(`${text}\n`);
}

function sizeText(sizeBytes: number): string {
  if (sizeBytes < 1024) return `${sizeBytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let size = sizeBytes / 1024;
  let at = 0;
  for (; size >= 1024 && at < units.length - 1; at++) size /= 1024;
  return `${size.toFixed(1)} ${units[at]}`;
}
