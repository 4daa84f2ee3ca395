/**
 * Containers that are checkpointed and restored with criu, which does not know the kernels of all test hosts.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import type { Machine } from "../machine.ts";

const directory = "/guest/checkpoint";

/** A line and a number for each turn. */
const counter = "i=0; while true; do i=$((i+1)); echo $i >/tmp/count; echo line $i; sleep 0.2; done";

/**
 * What the scripts begin with. `moves` says whether the counter goes on, within 20 s; `reaches` waits for a status.
 */
const words = `cd ${directory}; R="barge oci"; C=/guest/rootfs/tmp/count
moves() {
  n=$(cat $C)
  for k in $(seq 200); do test "$(cat $C)" -gt "$n" 2>/dev/null && { echo "$1: counts"; return; }; sleep 0.1; done
  echo "$1: stands still"
}
begins() { for k in $(seq 200); do test -s $C && return; sleep 0.1; done; echo "does not begin"; }
status() { $R state box | grep -o '"status": "[a-z]*"' | cut -d'"' -f4; }
ends() { for k in $(seq 200); do test "$(status)" = stopped && return; sleep 0.1; done; echo "does not end"; }
gone() {
  $R list --quiet; find /sys/fs/cgroup -name box -type d; grep -c guest/rootfs /proc/self/mountinfo; ls /run/barge/oci
}
rm -f $C
`;

async function play(machine: Machine, script: string): Promise<string> {
  const { stdout, stderr } = await machine.execute(`${words}${script}\nrm -rf ${directory}`, { seconds: 400 });
  return stdout + stderr;
}

/** What `gone` says where nothing is left. */
const nothing = "0\n";

/** See the module. */
export const checkpointCases: readonly Case[] = [
  {
    name: "a checkpointed container goes on where it was, with its output, and can be checkpointed again",
    async run(machine) {
      await writeGuestBundle(machine, directory, counter);
      const said = await play(
        machine,
        `
$R run --detach box </dev/null 2>&1 | cat >first &
begins; moves started
$R checkpoint --image-path images box && echo saved
wait; gone; n=$(cat $C)
$R restore --detach --image-path images --pid-file pid box </dev/null 2>&1 | cat >second &
for k in $(seq 200); do test -s pid && break; sleep 0.1; done
moves restored; test "$(cat $C)" -gt "$n" && echo "later than before"
test "$(tail -n 1 first | cut -d' ' -f2)" -lt "$(head -n 1 second | cut -d' ' -f2)" && echo "output goes on"
$R state box | grep -c "\\"pid\\": $(cat pid),"
$R exec box cat /proc/1/cmdline </dev/null | tr '\\0' ' ' | head -c 5; echo
$R pause box; status; $R resume box; $R update --pids-limit 30 box && echo updated
$R checkpoint --image-path again box && echo saved
wait; gone
$R restore --detach --image-path again box </dev/null >third 2>&1 || cat third
moves again; $R kill box KILL; ends; $R delete box; gone`,
      );
      assert.equal(
        said,
        `started: counts\nsaved\n${nothing}restored: counts\nlater than before\noutput goes on\n1\nsh -c\n` +
          `paused\nupdated\nsaved\n${nothing}again: counts\n${nothing}`,
      );
    },
  },
  {
    name: "a container that is left running goes on beside its checkpoint, and memory is saved in steps",
    async run(machine) {
      await writeGuestBundle(machine, directory, counter);
      const said = await play(
        machine,
        `
$R run --detach box </dev/null >/dev/null 2>&1
begins
$R checkpoint --leave-running --image-path whole box && echo saved; status; moves left
$R checkpoint --pre-dump --image-path before box && echo begun; status; moves begun
ls before | grep -c descriptors.json
$R checkpoint --image-path after --parent-path ../before --work-path logs box && echo saved
gone; ls logs | grep -x dump.log; ls after | grep -c dump.log
$R restore --detach --image-path after --work-path logs box </dev/null >/dev/null 2>&1
moves restored; ls logs | grep -x restore.log
$R kill box KILL; ends; $R delete box; gone`,
      );
      assert.equal(
        said,
        `saved\nrunning\nleft: counts\nbegun\nrunning\nbegun: counts\n0\nsaved\n${nothing}dump.log\n0\n` +
          `restored: counts\nrestore.log\n${nothing}`,
      );
    },
  },
  {
    name: "a terminal is given to whoever restores the container, and what is bound or joined is the host's again",
    async run(machine) {
      await writeGuestBundle(machine, directory, "while read word; do echo got $word; cat /given; done", (spec) => {
        spec.process.terminal = true;
        spec.mounts.push({ destination: "/given", type: "bind", source: `${directory}/given`, options: ["bind"] });
        spec.linux.namespaces!.find(({ type }) => type === "network")!.path = "/run/netns/guest";
      });
      await machine.write(`${directory}/ask.py`, ask);
      const said = await play(
        machine,
        `
ip netns add guest; echo one >given
python3 ask.py run first & asker=$!
for k in $(seq 200); do test -S first.socket && break; sleep 0.1; done
$R run --detach --console-socket first.socket box || kill $asker
for k in $(seq 200); do test -e first.asked && break; sleep 0.1; done
$R checkpoint --image-path images box && echo saved; wait; gone
echo two >given
python3 ask.py restore second & asker=$!
for k in $(seq 200); do test -S second.socket && break; sleep 0.1; done
$R restore --detach --console-socket second.socket --image-path images box || kill $asker
for k in $(seq 200); do test -e second.asked && break; sleep 0.1; done
pid=$($R state box | grep -o '"pid": [0-9]*' | cut -d' ' -f2)
test "$(stat -L -c %i /run/netns/guest)" = "$(stat -L -c %i /proc/$pid/ns/net)" && echo "same network"
touch finished; wait
$R kill box KILL 2>/dev/null; ends; $R delete box; gone; ip netns delete guest`,
      );
      assert.equal(said, `run: got hello one\nsaved\n${nothing}restore: got hello two\nsame network\n${nothing}`);
    },
  },
  {
    name: "a checkpoint or a restoration that criu cannot make says why, and changes nothing",
    async run(machine) {
      await writeGuestBundle(machine, directory, counter);
      const said = await play(
        machine,
        `
$R run --detach box </dev/null >/dev/null 2>&1
begins
PATH=/nonexistent /usr/local/bin/barge oci checkpoint box 2>&1 | grep -o 'CRIU version.*PATH'
mkdir fake; printf '#!/bin/sh\\nexit 1\\n' >fake/iptables-restore; chmod +x fake/iptables-restore
PATH=$PWD/fake:$PATH $R checkpoint --image-path images box 2>error && echo saved
grep -o 'criu failed: type [A-Z]* errno [0-9]*: Locking network failed' error
grep -o 'log file: ${directory}/images/dump.log' error
status; moves "not saved"
$R checkpoint --image-path images box && echo saved; gone
rm images/core-1.img
$R restore --detach --image-path images box </dev/null 2>error && echo restored
grep -o "criu failed: type RESTORE errno [0-9]*: Unexpected EOF" error
grep -o 'log file: ${directory}/images/restore.log' error
gone; pgrep -x criu`,
      );
      assert.equal(
        said,
        'CRIU version check failed: exec: \\"criu\\": executable file not found in $PATH\n' +
          "criu failed: type DUMP errno 0: Locking network failed\n" +
          `log file: ${directory}/images/dump.log\nrunning\nnot saved: counts\nsaved\n${nothing}` +
          "criu failed: type RESTORE errno 0: Unexpected EOF\n" +
          `log file: ${directory}/images/restore.log\n${nothing}`,
      );
    },
  },
  {
    name: "a task of the daemon's is saved as an image, and goes on from there",
    async run(machine) {
      await writeGuestBundle(machine, directory, "true");
      await machine.write(`${directory}/config.toml`, configuration);
      assert.equal(await play(machine, taskLife), answers);
    },
  },
];

const configuration = `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${directory}/socket"
`;

/**
 * A life of a task, by ctr. It sends options only to a runtime of the stock name: barge's shim is linked as that. The image
 * is made by hand, of one layer.
 */
const taskLife = `
mkdir -p bin image/blobs/sha256; ln -sf /usr/local/bin/barge bin/containerd-shim-runc-v2
add() { set -- $(sha256sum $1) $(stat -c %s $1); mv $2 image/blobs/sha256/$1; echo "'digest':'sha256:$1','size':$3" | tr "'" '"'; }
tar -C /guest/rootfs -cf layer .; id=$(sha256sum layer | cut -d' ' -f1); T=application/vnd.oci.image
echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:'$id'"]}}' >own
own=$(add own); layer=$(add layer)
config='"config":{"mediaType":"'$T'.config.v1+json",'$own'}'
echo '{"schemaVersion":2,'$config',"layers":[{"mediaType":"'$T'.layer.v1.tar",'$layer'}]}' >own
own=$(add own); echo '{"imageLayoutVersion":"1.0.0"}' >image/oci-layout
names='"annotations":{"io.containerd.image.name":"guest/box:1"}'
echo '{"schemaVersion":2,"manifests":[{"mediaType":"'$T'.manifest.v1+json",'$own','$names'}]}' >image/index.json
tar -C image -cf image.tar .
PATH=${directory}/bin:$PATH barge daemon --config config.toml >containerd.log 2>&1 & daemon=$!
A="timeout 120 ctr --address ${directory}/socket"
for i in $(seq 200); do $A version >/dev/null 2>&1 && break; sleep 0.2; done
count() { $A task exec --exec-id e$RANDOM box cat /tmp/count; }
later() {
  for k in $(seq 50); do n=$(count); test "$n" -gt "$1" 2>/dev/null && { echo "$2: counts"; return; }; sleep 0.2; done
  echo "$2: $n"
}
ends() {
  for k in $(seq 200); do $A task ls | grep -q RUNNING || break; sleep 0.1; done
  $A task rm box >/dev/null 2>&1; $A container rm box
}
$A image import image.tar >/dev/null
$A run --detach --null-io guest/box:1 box sh -c '${counter}'; later 1 started
$A container checkpoint --rw --image --task box guest/saved:1 >/dev/null && echo saved
n=$(count); later "$n" left
$A image ls | grep -c guest/saved:1; $A task kill --signal 9 box; ends
$A container restore --rw --live box guest/saved:1 && echo restored; later "$n" restored
$A task checkpoint --exit --image-path ${directory}/images box && ls images | grep -x pstree.img; ends
$A task ls | wc -l; find /sys/fs/cgroup -name box -type d; ls -d /tmp/ctrd-checkpoint* 2>/dev/null
kill $daemon; wait $daemon
`;

/** What was unpacked for the start is gone then. */
const answers = "started: counts\nsaved\nleft: counts\n1\nrestored\nrestored: counts\npstree.img\n1\n";

/** Receives a terminal, types a word, and shows what comes; then waits until it is not needed any more. */
const ask = `
import array, os, select, socket, sys, time
does, name = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(name + ".socket")
listener.listen(1)
connection, _ = listener.accept()
_, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
master = array.array("i", ancillary[0][2][:4])[0]
os.write(master, b"hello\\n")
text, end = "", time.time() + 60
while time.time() < end and text.count("\\n") < 3:
    if select.select([master], [], [], 0.2)[0]:
        text += os.read(master, 4096).decode()
print(does + ": " + " ".join(text.split("\\r\\n")[1:3]), flush=True)
open(name + ".asked", "w").close()
end = time.time() + 120
while time.time() < end and not os.path.exists("finished"):
    if select.select([master], [], [], 0.2)[0]:
        try:
            if not os.read(master, 4096): break
        except OSError:
            break
`;
