/**
 * Snapshots of a stock containerd with every kind of change in them, for comparing layers.
 *
 * @module
 */
import type { Containerd } from "../../bench/containerd.ts";
import type { MountPart } from "../../daemon/mounts/perform.ts";
import { succeed } from "../command.ts";

/** Programs that the scripts need besides containerd's. */
export const snapshotPrograms = ["setfattr", "mknod", "mkfifo", "python3", "tar"];

const capability = "0x0100000200040000000000000000000000000000";

/** What the first layer holds. */
export const baseScript = `
mkdir -p bin etc/deep/er usr/gone1/x usr/gone2/y usr/stays opaque/sub swap/dir names
echo cat >bin/cat; echo sh >bin/sh; chmod 4755 bin/sh
setfattr -n security.capability -v ${capability} bin/cat
echo passwd >etc/passwd; echo deep >etc/deep/er/file
echo 1 >usr/gone1/x/f; echo 2 >usr/gone2/y/f; echo 3 >usr/gone2x; echo 4 >usr/stays/f
echo o1 >opaque/o1; echo o2 >opaque/sub/o2
echo inside >swap/dir/inside; echo file >swap/file; ln -s /etc/passwd swap/link
ln bin/cat bin/dog; ln bin/cat bin/emu; ln -s cat bin/hardsym; ln -P bin/hardsym bin/hardsym2
echo same >same; touch -d '2020-01-01 00:00:00' same; echo cut >cut; touch -d '2020-01-01 00:00:00' cut
touch -d '1960-01-01 00:00:00.5' old
mknod null c 1 3; mkfifo pipe
dd if=/dev/zero of=big bs=1000 count=700 2>/dev/null
`;

/** What the second layer changes, so that there is more than one below the third. */
export const secondScript = `
echo second >second; rm etc/passwd; mkdir -p etc/new; echo n >etc/new/n; rm -r usr/stays; mkdir usr/stays; echo 5 >usr/stays/g
`;

/** What the third layer changes. */
export const thirdScript = `
rm -r usr/gone1 usr/gone2 usr/gone2x
rm -r opaque; mkdir opaque; echo o3 >opaque/o3; mkdir opaque/sub; echo o4 >opaque/sub/o4
rm -r swap/dir; echo now-file >swap/dir; rm swap/file; mkdir swap/file; echo in >swap/file/in; rm swap/link; mknod swap/link b 7 200
rm -rf usr/stays; mkdir usr/stays; echo 6 >usr/stays/g
echo longer >>bin/sh; chmod 600 etc/deep/er/file; chown 5:6 etc/deep
echo new >bin/new; ln bin/new bin/another; ln bin/new bin/zz; echo passwd2 >etc/passwd
ln bin/dog bin/fox
printf x >same; printf 'same\\n' >same; touch -d '2020-01-01 00:00:00' same
printf 'CUT\\n' >cut; touch -d '2020-01-01 00:00:00' cut
touch -d '1950-06-01 00:00:00.25' old; touch -d '2300-01-01' future
long=$(printf 'l%.0s' $(seq 1 90)); mkdir -p "names/$long/$long"; echo l >"names/$long/$long/$long"
ln -s "$long/$long/$long/$long" names/longlink
mkdir "names/\u00fc\u00e4"; echo u >"names/\u00fc\u00e4/\u00f6"; echo e >"names/"$(printf '\\377\\376')
printf 'a' >"names/\u{1F600}"; printf 'b' >"names/\uff5e"; echo nl >"names/new
line"
mkdir -p etc/new; touch second; chown -h 3000000:4000000 names/longlink second
setfattr -n user.ignored -v 1 second; setfattr -n security.capability -v ${capability} bin/new
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
rm pipe; mkfifo pipe2; mknod wide c 300 70000
head -c 600000 /dev/urandom >random; truncate -s 3000000 sparse; chmod 1777 opaque; chmod 2755 etc/new
echo t >touched; rm touched
`;

/** The words of one line of `ctr snapshots mounts`, as mounts. */
export function parseMounts(text: string): MountPart[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const words = /^mount -t (\S+) (\S+) \S+ -o (\S+)$/.exec(line);
    if (words === null) throw new Error(`not a mount: ${line}`);
    return { type: words[1]!, source: words[2]!, target: "", options: words[3]!.split(",") };
  });
}

/** The mounts of a snapshot. */
export async function mountsOf(containerd: Containerd, snapshotter: string, key: string): Promise<MountPart[]> {
  const ctr = containerd.ctr("snapshots", "--snapshotter", snapshotter, "mounts", "/x", key);
  return parseMounts(await succeed(ctr));
}

/** Makes an active snapshot, changes it through its mount at `directory`, and commits it where a name is given. */
export async function makeSnapshot(
  containerd: Containerd,
  snapshotter: string,
  snapshot: { key: string; parent: string; script: string; commit?: string },
  directory: string,
): Promise<void> {
  const snapshots = (...args: string[]) => containerd.ctr("snapshots", "--snapshotter", snapshotter, ...args);
  await succeed(snapshots("prepare", snapshot.key, ...(snapshot.parent === "" ? [] : [snapshot.parent])));
  const mount = (await succeed(snapshots("mounts", directory, snapshot.key))).trim();
  const script =
    `set -e; ${mount}; trap 'cd /; umount ${directory}' EXIT; cd ${directory}; umask 022; ${snapshot.script}`;
  await succeed(["bash", "-c", script], { env: { LC_ALL: "C.UTF-8" } });
  if (snapshot.commit !== undefined) await succeed(snapshots("commit", snapshot.commit, snapshot.key));
}
