import { readdir, readFile } from 'node:fs/promises';
import { Gauge, Registry } from './metrics.ts';

/** Linux tells times in hundredths of a second (sysconf(_SC_CLK_TCK) is 100 everywhere that Node runs). */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/**
 * What every Prometheus client tells of its process, under the usual names, read from /proc when it is asked for.
 * In a registry of its own: other parts of the process may tell the same.
 */
export function processMetrics(): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, read: () => Promise<number>): Gauge =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await read().catch(() => 0));
      },
    });
  gauge('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', async () => {
    const stat = await statFields();
    return (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND;
  });
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', async () => {
    return Number((await statFields())[21]) * PAGE_BYTES;
  });
  gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', async () =>
    Number((await statFields())[20]),
  );
  gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', async () => {
    const boot = /^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1];
    return Number(boot) + Number((await statFields())[19]) / TICKS_PER_SECOND;
  });
  gauge('process_open_fds', 'Number of open file descriptors.', async () => {
    return (await readdir('/proc/self/fd')).length;
  });
  gauge('process_max_fds', 'Maximum number of open file descriptors.', async () => {
    const limits = await readFile('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  });
  return registry;
}

/** proc(5) /proc/pid/stat behind the name of the command: field 3 is the first. */
async function statFields(): Promise<readonly string[]> {
  const text = await readFile('/proc/self/stat', 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
