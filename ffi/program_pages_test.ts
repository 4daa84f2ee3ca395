import assert from "node:assert/strict";
import { returnProgramPages, unwrittenMappings } from "./program_pages.ts";

const smaps = `1000-3000 r--p 00000000 fe:00 99                    /opt/a b/deno
Size:                  8 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
3000-4000 r-xp 00002000 fe:00 99                    /opt/a b/deno
Size:                  4 kB
Anonymous:             0 kB
4000-5000 rw-p 00003000 fe:00 99                    /opt/a b/deno
Anonymous:             0 kB
5000-6000 r--p 00004000 fe:00 99                    /opt/a b/deno
Anonymous:             4 kB
6000-7000 r--p 00000000 fe:00 98                    /opt/other
Anonymous:             0 kB
7000-8000 rw-p 00000000 00:00 0
Anonymous:             0 kB
`;

Deno.test("unwrittenMappings() gives a file's mappings that nobody has written to or can", () => {
  assert.deepEqual(unwrittenMappings(smaps, "/opt/a b/deno"), [
    { start: 0x1000, size: 0x2000 },
    { start: 0x3000, size: 0x1000 },
  ]);
});

/** Kilobytes of the program's code and constants that are mapped. */
function mapped(): number {
  let sum = 0;
  let counts = false;
  for (const line of Deno.readTextFileSync("/proc/self/smaps").split("\n")) {
    if (/^[0-9a-f]+-/.test(line)) counts = /^\S+ r-\Sp .*\/deno$/.test(line);
    else if (counts && line.startsWith("Rss:")) sum += Number(/\d+/.exec(line)![0]);
  }
  return sum;
}

Deno.test("returnProgramPages() gives back most of the program, which goes on", () => {
  const before = mapped();
  returnProgramPages();
  returnProgramPages();
  const after = mapped();
  assert.ok(after < before / 2, `${after} of ${before} kB are still mapped`);
  assert.equal(JSON.stringify([1, "two"].toReversed()), '["two",1]');
});
