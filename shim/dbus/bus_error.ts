/**
 * Errors that a peer on the bus answers with.
 *
 * @module
 */
import { type Code, Failure } from "../../api/errors.ts";

const codes: Readonly<Record<string, Code>> = {
  "org.freedesktop.DBus.Error.AccessDenied": "PermissionDenied",
  "org.freedesktop.DBus.Error.AuthFailed": "PermissionDenied",
  "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired": "PermissionDenied",
  "org.freedesktop.DBus.Error.InvalidArgs": "InvalidArgument",
  "org.freedesktop.DBus.Error.LimitsExceeded": "ResourceExhausted",
  "org.freedesktop.DBus.Error.NoReply": "DeadlineExceeded",
  "org.freedesktop.DBus.Error.NotSupported": "NotImplemented",
  "org.freedesktop.DBus.Error.ServiceUnknown": "Unavailable",
  "org.freedesktop.systemd1.NoSuchUnit": "NotFound",
  "org.freedesktop.systemd1.UnitExists": "AlreadyExists",
};

/** What the peer says of it, with the error's name on the bus. */
export class BusError extends Failure {
  constructor(readonly errorName: string, text: string) {
    super(codes[errorName] ?? "FailedPrecondition", text === "" ? errorName : text);
  }
}
