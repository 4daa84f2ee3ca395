/**
 * The systemd unit of the daemon (systemd.service(5)).
 *
 * @module
 */

/** Where it is below the prefix; systemd looks there where the prefix is `/usr` or `/usr/local`. */
export const unitPlace = "lib/systemd/system/barge.service";

/** Writes a path as a word of `ExecStart=`. */
function quoted(path: string): string {
  return `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;
}

/** The unit's text, for the barge below this prefix. */
export function unitText(prefix: string): string {
  return `[Unit]
Description=barge, containerd in one executable
After=network.target local-fs.target dbus.service
# Both use the same socket, and one root has one owner.
Conflicts=containerd.service

[Service]
Type=notify
ExecStartPre=-/sbin/modprobe overlay
ExecStart=${quoted(`${prefix}/bin/barge`)} daemon
Restart=always
RestartSec=5
# Containers and their shims outlive the daemon, also when it is restarted.
KillMode=process
Delegate=yes
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
`;
}
