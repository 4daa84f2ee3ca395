/** The echo service of tests/grpc/echo.ts, as grpc-js wants it: messages are bytes. */
const bytes = (message) => Buffer.from(message);

function method(name, requestStream, responseStream) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

export const echoDefinition = {
  Unary: method("Unary", false, false),
  Fail: method("Fail", false, false),
  Hang: method("Hang", false, false),
  Metadata: method("Metadata", false, false),
  Missing: method("Missing", false, false),
  Down: method("Down", false, true),
  Up: method("Up", true, false),
  Both: method("Both", true, true),
};
