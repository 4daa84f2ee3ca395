/**
 * What the kernel knows of the daemon's process, under the names that Prometheus' clients use, and what V8 knows of its
 * memory.
 *
 * @module
 */
import type { MetricRegistry } from "./metric_registry.ts";

/** Clock ticks a second in /proc; fixed by the kernel's interface to programs on both architectures. */
const ticksPerSecond = 100;
const pageBytes = 4096;

interface Stat {
  readonly cpuTicks: number;
  readonly startTicks: number;
  readonly virtualBytes: number;
  readonly threads: number;
}

/** Fields of proc(5) stat behind the name in parentheses: the first is the state, which is field 3. */
function readStat(): Stat {
  const text = Deno.readTextFileSync("/proc/self/stat");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return { cpuTicks: field(14) + field(15), startTicks: field(22), virtualBytes: field(23), threads: field(20) };
}

function residentBytes(): number {
  return Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[1]) * pageBytes;
}

function openFiles(): number {
  // The directory itself is open while it is read.
  return [...Deno.readDirSync("/proc/self/fd")].length - 1;
}

function openFilesMax(): number | undefined {
  const soft = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1];
  return soft === undefined ? undefined : Number(soft);
}

function bootSeconds(): number {
  return Number(/^btime (\d+)/m.exec(Deno.readTextFileSync("/proc/stat"))?.[1] ?? 0);
}

/** Adds `process_*` and `v8_*`. Each is read when the text is asked for. */
export function addProcessMetrics(registry: MetricRegistry): void {
  const add = (type: "counter" | "gauge", name: string, help: string, read: () => number | undefined) =>
    registry.addNumber(type, name, help, read);
  add(
    "counter",
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
    () => readStat().cpuTicks / ticksPerSecond,
  );
  add("gauge", "process_open_fds", "Number of open file descriptors.", openFiles);
  add("gauge", "process_max_fds", "Maximum number of open file descriptors.", openFilesMax);
  add("gauge", "process_resident_memory_bytes", "Resident memory size in bytes.", residentBytes);
  add("gauge", "process_virtual_memory_bytes", "Virtual memory size in bytes.", () => readStat().virtualBytes);
  add(
    "gauge",
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
    () => bootSeconds() + readStat().startTicks / ticksPerSecond,
  );
  add("gauge", "process_threads", "Number of OS threads in the process.", () => readStat().threads);
  add("gauge", "v8_heap_used_bytes", "Bytes of V8's heap that objects occupy.", () => Deno.memoryUsage().heapUsed);
  add("gauge", "v8_heap_size_bytes", "Bytes that V8 has taken for its heap.", () => Deno.memoryUsage().heapTotal);
  add(
    "gauge",
    "v8_external_memory_bytes",
    "Bytes outside of V8's heap that its objects keep.",
    () => Deno.memoryUsage().external,
  );
}
