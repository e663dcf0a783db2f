import { GCProfiler, getHeapStatistics } from 'node:v8';

/**
 * Bytes of JavaScript heap that one of `operations` takes: what grew and what was collected meanwhile. `work` must not
 * wait for the event loop, and have run before: the compiler of V8 makes things, too.
 */
export function heapBytesAnOperation(operations: number, work: () => void): number {
  const profiler = new GCProfiler();
  profiler.start();
  const before = getHeapStatistics().used_heap_size;
  work();
  const after = getHeapStatistics().used_heap_size;
  const { statistics } = profiler.stop();
  const freed = statistics.reduce(
    (sum, { beforeGC, afterGC }) =>
      sum + beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize,
    0,
  );
  return (after - before + freed) / operations;
}
