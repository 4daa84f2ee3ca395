/**
 * A registry's login, asked for on the stream that the client has opened for it.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { AuthRequest, AuthResponse, AuthType } from "../../../api/gen/types/transfer/registry.ts";
import type { Credentials } from "../../sources/source.ts";
import type { MessageStream } from "../../streams/message_stream.ts";

/** A person may have to type it. */
const answerMsMax = 300_000;

/** Asks the client for the login of a host. Undefined where it has none. Throws `Unavailable`, `DeadlineExceeded`. */
export async function askCredentials(
  stream: MessageStream,
  host: string,
  reference: string,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const value = AuthRequest.encode({ host, reference, wwwauthenticate: [] }).finish();
  await stream.send(Any.create({ typeUrl: "containerd.types.transfer.AuthRequest", value }));
  const late = Promise.withResolvers<never>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]);
  const onAbort = () => late.reject(new Failure("DeadlineExceeded", `the login for ${host} did not come`));
  limit.addEventListener("abort", onAbort);
  try {
    const answer = stream.expect("containerd.types.transfer.AuthResponse", AuthResponse);
    const { authType, username, secret } = await Promise.race([answer, late.promise]);
    switch (authType) {
      case AuthType.NONE:
        return undefined;
      case AuthType.CREDENTIALS:
        return { username, password: secret };
      case AuthType.REFRESH:
        return { username: "", password: secret };
      default:
        throw new Failure("NotImplemented", `the login for ${host} is a header: give a user and password or a token`);
    }
  } finally {
    limit.removeEventListener("abort", onAbort);
  }
}
