/**
 * Counts the cases in a JUnit report of `deno test`.
 *
 * @module
 */

/** Numbers of test cases. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The sum of some counts. */
export function sumOf(counts: Iterable<Counts>): Counts {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of counts) {
    sum.passed += passed;
    sum.failed += failed;
    sum.skipped += skipped;
  }
  return sum;
}

/**
 * The cases of a report; steps count as cases of their own. Deno writes attributes and texts escaped, so that tags
 * can be looked for.
 */
export function countCases(report: string): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, body] of report.matchAll(/<testcase\b[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs)) {
    if (body !== undefined && /<(failure|error)\b/.test(body)) counts.failed++;
    else if (body !== undefined && /<skipped\b/.test(body)) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}

/**
 * The cases of one run of `deno test`. A run that failed without a failed case (a module that throws, a process that
 * was killed) counts as one.
 */
export function countRun(report: string | undefined, success: boolean): Counts {
  const counts = report === undefined ? { passed: 0, failed: 0, skipped: 0 } : countCases(report);
  if (!success && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** The last line that `deno task test` prints. */
export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}
