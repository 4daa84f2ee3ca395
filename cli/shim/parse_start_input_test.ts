import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { BootstrapParams, BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { parseStartInput } from "./parse_start_input.ts";
import type { StartInput } from "./start_input.ts";

const plain: StartInput = {
  namespace: "n",
  id: "box",
  address: "/c.sock",
  ttrpcAddress: "/t.sock",
  publishBinary: "/bin/c",
  debug: false,
  shimCgroup: "",
  optionsKey: "",
  answer: (address) => address,
};

const options = Any.create({
  typeUrl: "containerd.runc.v1.Options",
  value: Options.encode(Options.create({ shimCgroup: "/shims" })).finish(),
});

Deno.test("parseStartInput() takes options alone, as containerd up to 2.2 gives them, and answers with a text", async () => {
  const input = await parseStartInput(plain, Any.encode(options).finish());
  assert.equal(input.shimCgroup, "/shims");
  assert.equal(input.namespace, "n");
  assert.equal(input.answer("unix:///s"), "unix:///s");
});

Deno.test("parseStartInput() takes containerd 2.3's message and answers in kind", async () => {
  const params = BootstrapParams.create({
    instanceId: "box",
    namespace: "other",
    logLevel: -4,
    containerdGrpcAddress: "/g.sock",
    containerdTtrpcAddress: "/tt.sock",
    socketDir: "/run/s",
    extensions: [{ value: options }],
  });
  const input = await parseStartInput(plain, BootstrapParams.encode(params).finish());
  const { namespace, address, ttrpcAddress, socketDirectory, debug, shimCgroup } = input;
  assert.deepEqual([namespace, address, ttrpcAddress], ["other", "/g.sock", "/tt.sock"]);
  assert.deepEqual([socketDirectory, debug, shimCgroup], ["/run/s", true, "/shims"]);
  const answer = input.answer("unix:///s");
  assert(answer instanceof Uint8Array);
  const { version, address: where, protocol } = BootstrapResult.decode(answer);
  assert.deepEqual([version, where, protocol], [3, "unix:///s", "ttrpc"]);
});

Deno.test("parseStartInput() refuses the options of another runtime by their name", async () => {
  const bytes = Any.encode(Any.create({ typeUrl: "x/runsc.Options", value: new Uint8Array([1]) })).finish();
  await assert.rejects(parseStartInput(plain, bytes), { code: "InvalidArgument", message: /"runsc.Options"/ });
});
