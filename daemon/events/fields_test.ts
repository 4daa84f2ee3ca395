import assert from "node:assert/strict";
import { ContainerCreate, ContainerUpdate } from "../../api/gen/events/container.ts";
import { TaskCreate, TaskExit } from "../../api/gen/events/task.ts";
import type { MessageType } from "../../api/rpc/definition.ts";
import { eventKinds } from "../services/event_kinds.ts";
import { addressableEvents, envelopeFields } from "./fields.ts";

function fieldsOf<T>(name: string, type: MessageType<T>, message: T): (path: string) => string | undefined {
  const event = { typeUrl: `containerd.events.${name}`, value: type.encode(message).finish() };
  const read = envelopeFields({ timestamp: undefined, namespace: "n", topic: "/t", event });
  return (path) => read(path.split("."));
}

Deno.test("envelopeFields() reads the envelope and texts, truths and nested messages of the event", () => {
  const io = { stdin: "", stdout: "/out", stderr: "", terminal: true };
  const task = { containerId: "c", bundle: "/b", rootfs: [], io, checkpoint: "", pid: 7 };
  const field = fieldsOf("TaskCreate", TaskCreate, task);
  assert.equal(field("namespace"), "n");
  assert.equal(field("topic"), "/t");
  assert.equal(field("event.container_id"), "c");
  assert.equal(field("event.io.stdout"), "/out");
  assert.equal(field("event.io.terminal"), "true");
  for (
    const path of ["event.io.stdin", "event.checkpoint", "event.pid", "event.rootfs", "event.io", "event", "other"]
  ) {
    assert.equal(field(path), undefined, path);
  }
  const exit = { containerId: "c", id: "e", pid: 1, exitStatus: 3, exitedAt: { seconds: 1, nanos: 0 } };
  const exitField = fieldsOf("TaskExit", TaskExit, exit);
  assert.equal(exitField("event.id"), "e");
  assert.equal(exitField("event.exit_status"), undefined);
  assert.equal(exitField("event.exited_at"), undefined);
  const create = { id: "i", image: "", runtime: { name: "r", options: { typeUrl: "t", value: new Uint8Array() } } };
  const createField = fieldsOf("ContainerCreate", ContainerCreate, create);
  assert.equal(createField("event.runtime.name"), "r");
  assert.equal(createField("event.runtime.options.type_url"), undefined);
});

Deno.test("envelopeFields() joins the rest of the path to the key of a label", () => {
  const labels = { "a.b": "x", empty: "" };
  const field = fieldsOf("ContainerUpdate", ContainerUpdate, { id: "i", image: "", labels, snapshotKey: "k" });
  assert.equal(field("event.labels.a.b"), "x");
  assert.equal(field("event.labels.empty"), "");
  assert.equal(field("event.labels.toString"), undefined);
  assert.equal(field("event.snapshot_key"), "k");
});

Deno.test("envelopeFields() finds nothing in unknown events and in garbage", () => {
  for (const typeUrl of ["containerd.events.TaskExit", "x.Y"]) {
    const event = { typeUrl, value: new Uint8Array([0xff, 0xff]) };
    const read = envelopeFields({ timestamp: undefined, namespace: "", topic: "", event });
    assert.equal(read(["event", "id"]), undefined);
    assert.equal(read(["namespace"]), undefined);
  }
});

Deno.test("addressableEvents names every event that the daemon publishes", () => {
  for (const { typeUrl } of Object.values(eventKinds)) assert.ok(addressableEvents.includes(typeUrl), typeUrl);
});
