/**
 * Where the daemon answers otherwise than the stock containerd that it is compared with, and why.
 *
 * @module
 */

/** One difference that is meant. */
export interface Difference {
  /** The command, without `ctr`. */
  readonly command: RegExp;
  /** What barge prints there. */
  readonly ours: RegExp;
  /** What Debian's containerd 1.6 prints there. */
  readonly stock: RegExp;
  readonly reason: string;
}

/** All of them. */
export const differences: readonly Difference[] = [
  {
    command: /^namespaces create two long=/,
    ours: /label key and value length \(4100 bytes\) greater than maximum size \(4096 bytes\), key: long/,
    stock: /label key and value greater than maximum size \(4096 bytes\), key: long/,
    reason: "containerd 2.x says how long the label is, and so do we",
  },
  {
    command: /^snapshots mounts \S+ work$/,
    ours: /-o workdir=\S+,upperdir=\S+,lowerdir=\S+,index=off$/m,
    stock: /-o index=off,workdir=\S+,upperdir=\S+,lowerdir=\S+$/m,
    reason: "containerd 2.x puts the options of the configuration last, and so do we",
  },
];

/** Whether a difference is one of the listed ones. */
export function expectedDifference(command: string, ours: string, stock: string): boolean {
  return differences.some((one) => one.command.test(command) && one.ours.test(ours) && one.stock.test(stock));
}

/** Snapshots of the script that no command removes: the collector does. */
const collected = /^\S+ \/snapshot\/remove \{"key":"(bad\/id|c3|sha256:[0-9a-f]{64})"\}$/;

/**
 * An event of ours as Debian's containerd 1.6 announces it; none where it does not. Where it differs, we do as
 * containerd 2.x: content announces its creation, what the collector removes is announced as well, and events of a
 * namespace are published in that namespace and not in the caller's.
 */
export function asStockAnnounces(event: string): string[] {
  if (event.includes(" /content/create ") || collected.test(event)) return [];
  return [event.replace(/^\S+ (\/namespaces\/(create|update) )/, "default $1")];
}
