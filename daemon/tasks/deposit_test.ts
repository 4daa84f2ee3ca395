import assert from "node:assert/strict";
import { type Descriptor, makePipe, readOnce, setNonBlocking, writeOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { connectForParcels, sendParcel } from "../../ffi/parcel.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { type DepositMessage, type DepositName, depositText } from "../../shim/task/deposit_message.ts";
import { takeDeposit } from "../../shim/task/take_deposit.ts";
import { Logger } from "../log/logger.ts";
import { Deposit } from "./deposit.ts";

interface Bench {
  readonly deposit: Deposit;
  readonly reactor: Reactor;
  readonly path: string;
  /** Sends as a shim does. */
  readonly say: (message: DepositMessage, ...descriptors: Descriptor[]) => void;
  /** What the shim's end closes. */
  readonly shim: Descriptor;
  readonly log: () => string;
}

async function withDeposit(
  body: (bench: Bench) => void | Promise<void>,
  options: { descriptorsMax?: number; isWanted?: () => boolean } = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "deposit-" });
  let text = "";
  const log = Logger.to({ target: { write: (line: string) => void (text += line), reopen: () => {} } });
  try {
    using reactor = new Reactor();
    using deposit = new Deposit({ reactor, log, path: `${directory}/d`, isWanted: () => true, ...options });
    const path = deposit.open();
    assert.equal(deposit.open(), path);
    using shim = connectForParcels(path);
    const say = (message: DepositMessage, ...descriptors: Descriptor[]) => {
      sendParcel(shim.number, depositText(message), descriptors.map(({ number }) => number));
    };
    await body({ deposit, reactor, path, say, shim, log: () => text });
    deposit[Symbol.dispose]();
    assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const saying = (does: "keep" | "drop") => (process: string, ...names: DepositName[]): DepositMessage => ({
  does,
  namespace: "n",
  container: "c",
  process,
  names,
});
const keep = saying("keep"), drop = saying("drop");

/** Whether somebody still has the pipe's other end. */
function isHeld({ read }: { read: Descriptor }): boolean {
  setNonBlocking(read.number);
  try {
    return readOnce(read.number, new Uint8Array(1)) > 0;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return true;
    throw error;
  }
}

Deno.test("Deposit holds what a shim leaves, after its end as well, and gives a successor all of it", () =>
  withDeposit(async ({ deposit, reactor, path, say, shim }) => {
    const one = makePipe(), two = makePipe();
    say(keep("", "stdin", "stdinFifo"), one.write, two.write);
    say(keep("x", "stdin"), two.write);
    for (const { write } of [one, two]) write.close();
    shim.close();
    deposit.readAll();
    assert.equal(deposit.count, 3);
    assert.deepEqual([isHeld(one), isHeld(two)], [true, true]);
    const taken = await takeDeposit(reactor, path, { namespace: "n", container: "c" });
    assert.deepEqual([...taken.names], [["", ["stdin", "stdinFifo"]], ["x", ["stdin"]]]);
    const stdin = taken.take("", "stdin");
    assert(stdin !== undefined && taken.take("", "stdin") === undefined);
    writeOnce(stdin.number, new Uint8Array([1]));
    assert.equal(isHeld(one), true);
    stdin.close();
    taken[Symbol.dispose]();
    // The daemon's own stay until the successor has left others.
    assert.deepEqual([deposit.count, isHeld(one)], [3, true]);
    deposit.release("n", "c");
    assert.deepEqual([deposit.count, isHeld(one), isHeld(two)], [0, false, false]);
    const none = await takeDeposit(reactor, path, { namespace: "n", container: "c" });
    assert.equal(none.names.size, 0);
  }));

Deno.test("Deposit closes what is dropped and what is replaced", () =>
  withDeposit(({ deposit, say }) => {
    const one = makePipe(), two = makePipe(), three = makePipe();
    say(keep("", "stdout", "stderr"), one.write, two.write);
    say(keep("", "stdout"), three.write);
    for (const { write } of [one, two, three]) write.close();
    deposit.readAll();
    assert.deepEqual([deposit.count, isHeld(one), isHeld(two), isHeld(three)], [2, false, true, true]);
    say(drop("", "stderr", "master"));
    deposit.readAll();
    assert.deepEqual([deposit.count, isHeld(two), isHeld(three)], [1, false, true]);
    say(drop("", "stdout"));
    deposit.readAll();
    assert.deepEqual([deposit.count, isHeld(three)], [0, false]);
  }));

Deno.test("Deposit holds nothing of tasks that are none any more once their shim has gone", () =>
  withDeposit(({ deposit, say, shim }) => {
    const one = makePipe();
    say(keep("", "stdout"), one.write);
    one.write.close();
    deposit.readAll();
    assert.equal(isHeld(one), true);
    shim.close();
    deposit.readAll();
    assert.deepEqual([deposit.count, isHeld(one)], [0, false]);
  }, { isWanted: () => false }));

Deno.test("Deposit closes what is beyond its limit, and says so once", () =>
  withDeposit(({ deposit, say, log }) => {
    const one = makePipe(), two = makePipe();
    say(keep("", "stdout"), one.write);
    say(keep("x", "stdout"), two.write);
    say(keep("y", "stdout"), two.write);
    for (const { write } of [one, two]) write.close();
    deposit.readAll();
    assert.deepEqual([deposit.count, isHeld(one), isHeld(two)], [1, true, false]);
    assert.equal(log().split("more descriptors").length, 2);
  }, { descriptorsMax: 1 }));

for (
  const [what, text] of [
    ["that is no JSON", "{"],
    ["with an unknown name", `{"does":"keep","namespace":"n","container":"c","process":"","names":["root"]}`],
    ["with less descriptors than names", depositText(keep("", "stdout", "stderr"))],
    ["that only the daemon sends", `{"does":"end"}`],
  ] as const
) {
  Deno.test(`Deposit ends a connection after a message ${what}, and keeps none of its descriptors`, () =>
    withDeposit(({ deposit, shim, log }) => {
      const one = makePipe();
      sendParcel(shim.number, text, [one.write.number]);
      one.write.close();
      deposit.readAll();
      assert.deepEqual([deposit.count, isHeld(one)], [0, false]);
      assert.match(log(), /a connection on which shims leave descriptors has failed/);
      assert.throws(() => sendParcel(shim.number, text, []), { message: /EPIPE|broken pipe/i });
    }));
}
