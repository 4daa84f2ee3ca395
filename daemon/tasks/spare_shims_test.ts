import assert from "node:assert/strict";
import { Reactor } from "../../ffi/reactor.ts";
import type { SpareWork } from "../../shim/server/spare_message.ts";
import { Logger } from "../log/logger.ts";
import { SpareShims } from "./spare_shims.ts";

const subject = {
  namespace: "n",
  id: "i",
  bundle: "/b",
  address: "/c",
  ttrpcAddress: "",
  publishBinary: "",
  debug: false,
};

Deno.test("SpareShims gives a program up that ends whenever it is started ahead, and says so once", async () => {
  using reactor = new Reactor();
  const lines: string[] = [];
  const log = Logger.to({ target: { write: (line) => void lines.push(String(line)), reopen: () => {} } });
  let started = 0;
  using shims = new SpareShims({
    reactor,
    log,
    commandOf: (program) => {
      started++;
      return { program, words: [program], environment: new Map() };
    },
  });
  const work: SpareWork = {
    subject: { ...subject, grouping: "namespace", places: 5 },
    socket: "/s",
    shimCgroup: "",
    deposit: "",
  };
  const serve = () => shims.serve("/bin/false", work, 0, AbortSignal.timeout(20_000));
  for (let time = 0; time < 5; time++) assert.equal(await serve(), undefined);
  assert.equal(started, 3);
  assert.equal(lines.filter((line) => line.includes("cannot be started ahead")).length, 1, lines.join(""));
});
