/**
 * The three files of `/etc` that tell a container who and where it is.
 *
 * @module
 */

/** A file that is made for the container and bound into it. */
export interface GeneratedFile {
  readonly name: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly text: string;
}

/** What the files follow from. */
export interface FileFacts {
  readonly network: "host" | "none";
  readonly hostname: string;
  /** The host's files, which a container in the host's network gets a copy of. */
  readonly hosts: string;
  readonly resolvConf: string;
}

/** The texts. Copies, not the host's own files: the container may write to them, unless its root is read-only. */
export function generateFiles({ network, hostname, hosts, resolvConf }: FileFacts): GeneratedFile[] {
  const shared = network === "host";
  const ownHosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
    // A name of its own that resolves is what hostname -f, sudo and many servers ask for.
    `127.0.1.1\t${hostname}\n`;
  return [
    { name: "hostname", target: "/etc/hostname", text: `${hostname}\n` },
    { name: "hosts", target: "/etc/hosts", text: shared ? hosts : ownHosts },
    {
      name: "resolv.conf",
      target: "/etc/resolv.conf",
      text: shared ? resolvConf : "# This container has no network.\n",
    },
  ];
}
