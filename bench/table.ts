/**
 * The table of results, as Markdown for the README.
 *
 * @module
 */
import { type Measured, median, outputOf, type Row } from "./measure.ts";

/** One line about the machine, and one about the versions of what was measured. */
export async function describeMachine(): Promise<string> {
  const model = /^model name\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  const memoryGb = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const versions = [`Deno ${Deno.version.deno}`];
  for (
    const [command, pattern] of [
      [["runc", "--version"], /^(runc) version (\S+)/m],
      [["crun", "--version"], /^(crun) version (\S+)/m],
      [["containerd", "--version"], /^(containerd) \S+ (\S+)/m],
      [["docker-registry", "--version"], /(docker-registry)\S* \S+ (\S+)/m],
    ] as const
  ) {
    const text = await outputOf(command).catch(() => "");
    const found = pattern.exec(text);
    if (found !== null) versions.push(`${found[1]} ${found[2]}`);
  }
  const machine = `${model}, ${navigator.hardwareConcurrency} cores, ${memoryGb} GB, Linux ${Deno.osRelease()}`;
  return `${machine}\n${versions.join(", ")}\n`;
}

/** The rows as a table: medians, their ratio, and what the ratio must be; below it the notes. */
export function formatTable(rows: readonly Row[]): string {
  const cells = [["work", "barge", "peer", "peer is", "barge / peer", "must be", "runs"]];
  for (const row of rows) {
    if (row.kind === "note") continue;
    if (row.kind === "skipped") {
      cells.push([row.work, `skipped: ${row.reason}`, "", "", "", "", ""]);
      continue;
    }
    const barge = median(row.bargeTimes);
    const peer = median(row.peerTimes);
    const ratio = barge / peer;
    const mark = ratio <= row.ratioMax && barge <= (row.bargeMax ?? Infinity) ? "" : " ✗";
    cells.push([
      ...[row.work, `${amount(barge)} ${row.unit}`, `${amount(peer)} ${row.unit}`, row.peer],
      ...[
        `${ratio.toFixed(2)}${mark}`,
        limitOf(row),
        `${row.bargeTimes.length}`,
      ],
    ]);
  }
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`);
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  for (const row of rows) if (row.kind === "note") lines.push("", row.text);
  return lines.join("\n");
}

function limitOf({ ratioMax, bargeMax, unit }: Measured): string {
  if (bargeMax !== undefined) return `barge ≤ ${bargeMax} ${unit}`;
  return ratioMax === Infinity ? "" : `≤ ${ratioMax.toFixed(2)}`;
}

/** Three digits that matter. */
function amount(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
