import assert from "node:assert/strict";
import { Failure } from "../../../../api/errors.ts";
import { parseHostsFile } from "./hosts_file.ts";

const sample = `server = "https://upstream.example"
ca = ["a.crt"]
[host."https://z.example/path"]
  capabilities = ["pull", "resolve"]
  client = [["c.crt", "c.key"]]
  skip_verify = true
  dial_timeout = "1.5s"
  override_path = false
[host."http://a.example:5000/v2/".header]
  X-One = ["1", "2"]
`;
const pieces = [
  "",
  "1",
  "1979-05-27",
  "inf",
  "0x7fffffffffffffff",
  "[]",
  "{}",
  "''",
  '"http://"',
  "[[",
  "]]",
  "=",
  "\n",
  '"',
  ".",
  "\0",
  "é",
];
const attempts = 5_000;

Deno.test("parseHostsFile() takes or refuses whatever it is given", async () => {
  const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 31);
  let state = seed;
  // Park and Miller's generator: good enough to choose places, and the same everywhere.
  const below = (n: number) => (state = state * 48271 % 0x7fffffff) % n;
  let taken = 0;
  for (let attempt = 0; attempt < attempts; attempt++) {
    let text = sample;
    for (let change = below(4); change >= 0; change--) {
      const at = below(text.length + 1);
      text = text.slice(0, at) + pieces[below(pieces.length)] + text.slice(at + below(12));
    }
    try {
      await parseHostsFile(text, "/d");
      taken++;
    } catch (error) {
      assert(
        error instanceof Failure && error.code === "InvalidArgument",
        `BARGE_FUZZ_SEED=${seed}: ${error}\n${text}`,
      );
    }
  }
  assert(taken > 0 && taken < attempts, `BARGE_FUZZ_SEED=${seed}`);
});
