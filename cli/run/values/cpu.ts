/**
 * Processor time and processor lists.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** Length of one accounting period in microseconds; the kernel's and docker's default. */
export const cpuPeriodUs = 100_000;

/** The kernel refuses a quota below one millisecond a period. */
const leastQuotaUs = 1_000;

/**
 * The quota in microseconds for each {@link cpuPeriodUs} of a number of processors such as `1.5`; 0 is no limit.
 * Throws `InvalidArgument` where it is no number or below 0.01.
 */
export function parseCpus(text: string): number {
  if (!/^(\d{1,6}(\.\d*)?|\.\d+)$/.test(text)) {
    throw new Failure("InvalidArgument", "want a number of processors such as 0.5 or 2");
  }
  const cpus = Number(text);
  const quota = Math.round(cpus * cpuPeriodUs);
  if (cpus > 0 && quota < leastQuotaUs) {
    throw new Failure("InvalidArgument", "want at least 0.01 processors, or 0 for no limit");
  }
  return quota;
}

/** A list of processor numbers as cpuset(7) has it, `0-2,5`. Throws `InvalidArgument` where it is none. */
export function parseCpuList(text: string): string {
  const fits = text.split(",").every((part) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    return match !== null && (match[2] === undefined || Number(match[1]) <= Number(match[2]));
  });
  if (!fits) throw new Failure("InvalidArgument", "want processor numbers and ranges such as 0-2,5");
  return text;
}
