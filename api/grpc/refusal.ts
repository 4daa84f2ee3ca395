/**
 * What the engine itself has to say against a call.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import { type Status, statusCodes, statusOf } from "../rpc/status.ts";

/** A failure in the words of grpc-go's transport: it goes to the peer as it is, without a class text at its end. */
export class Refusal extends Failure {}

/** The status that ends a call for what was thrown. */
export function statusOfCall(error: unknown): Status {
  return error instanceof Refusal ? { code: statusCodes[error.code], message: error.message } : statusOf(error);
}
