/**
 * The root file system that each case has for itself.
 *
 * @module
 */

/** Programs of busybox that cases use. */
const applets = [
  ..."awk cat chmod chown cut date dd df echo env false find free grep head hostname id ionice ip kill ln ls mkdir"
    .split(" "),
  ..."mkfifo mknod mount mv nice nsenter printf ps pwd readlink realpath rm sed setsid sh sleep sort stat stty sync"
    .split(" "),
  ..."sysctl tail taskset test timeout touch tr true tty umount uname uniq unshare uptime wc".split(" "),
];

/** Makes it. `busybox` is linked, not copied: it makes a hundred of them quick. */
export function makeRoot(path: string, busybox: string): void {
  for (const name of ["bin", "etc", "tmp", "root", "proc", "sys", "dev"]) {
    Deno.mkdirSync(`${path}/${name}`, { recursive: true });
  }
  Deno.linkSync(busybox, `${path}/bin/busybox`);
  for (const name of applets) Deno.symlinkSync("busybox", `${path}/bin/${name}`);
  Deno.writeTextFileSync(
    `${path}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
  );
}
