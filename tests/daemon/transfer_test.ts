import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { StreamingDefinition, StreamInit } from "../../api/gen/services/streaming/v1/streaming.ts";
import { TransferDefinition } from "../../api/gen/services/transfer/v1/transfer.ts";
import { ImageStore } from "../../api/gen/types/transfer/imagestore.ts";
import { Progress } from "../../api/gen/types/transfer/progress.ts";
import { OCIRegistry } from "../../api/gen/types/transfer/registry.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { systemTest } from "../command.ts";
import { startRegistry, tarOf, writeLayout } from "../registry.ts";
import { startDaemon } from "./daemon_fixture.ts";

/** What nerdctl sends by default: a directory of hosts and a stream for progress; the image is to be unpacked. */
systemTest(
  "the daemon pulls through a mirror of hosts.toml for a client's transfer, as nerdctl asks for it",
  ["docker-registry", "skopeo", "ctr"],
  async () => {
    await using registry = await startRegistry();
    const rootfs = `${registry.directory}/rootfs`;
    await Deno.mkdir(rootfs);
    await Deno.writeTextFile(`${rootfs}/file`, "content");
    const layout = `${registry.directory}/layout`;
    await writeLayout(layout, [await tarOf(rootfs)]);
    await registry.push(`oci:${layout}:latest`, "library/app:1");
    const hostDir = `${registry.directory}/hosts`;
    await Deno.mkdir(`${hostDir}/registry.test`, { recursive: true });
    const dead = `[host."http://127.0.0.1:1"]\n`;
    await Deno.writeTextFile(`${hostDir}/registry.test/hosts.toml`, `${dead}[host."http://${registry.host}"]`);
    await using daemon = await startDaemon();
    using channel = connect({
      open: dialUnix(daemon.address),
      metadata: { "containerd-namespace": "default" },
    });
    const streaming = channel.client(StreamingDefinition);
    const transfer = channel.client(TransferDefinition);
    const told: string[] = [];
    const opened = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    async function* opening() {
      const value = StreamInit.encode({ id: "progress" }).finish();
      yield Any.create({ typeUrl: "containerd.services.streaming.v1.StreamInit", value });
      await ended.promise;
    }
    const listening = (async () => {
      for await (const { typeUrl, value } of streaming.stream(opening())) {
        opened.resolve();
        if (typeUrl !== "google.protobuf.Empty") told.push(Progress.decode(value).event);
      }
      ended.resolve();
    })();
    await opened.promise;
    const platform = { os: "linux", architecture: "amd64" };
    const call = (snapshotter: string, progressStream: string) => {
      const source = OCIRegistry.fromPartial({ reference: "registry.test/library/app:1", resolver: { hostDir } });
      const unpacks = [{ platform, snapshotter }];
      const store = ImageStore.fromPartial({ name: "app", platforms: [platform], unpacks });
      return transfer.transfer({
        source: { typeUrl: "containerd.types.transfer.OCIRegistry", value: OCIRegistry.encode(source).finish() },
        destination: { typeUrl: "containerd.types.transfer.ImageStore", value: ImageStore.encode(store).finish() },
        options: { progressStream },
      });
    };
    await assert.rejects(
      call("stargz", ""),
      (error) => isFailure(error, "InvalidArgument") && /snapshotter not loaded: stargz/.test(error.message),
    );
    await call("overlayfs", "progress");
    await listening;
    for (const event of ["waiting", "complete", "extracting", "extracted", "saved"]) {
      assert(told.includes(event), event);
    }
    assert.match(await daemon.ask("images", "ls", "--quiet"), /^app$/m);
    const snapshots = await daemon.ask("snapshots", "--snapshotter", "overlayfs", "ls");
    assert.match(snapshots, /^sha256:\S+\s+Committed/m);
  },
);
