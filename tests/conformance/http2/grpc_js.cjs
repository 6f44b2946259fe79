// Makes calls by @grpc/grpc-js: node grpc_js.cjs HOST:PORT, with a JSON list of calls on stdin. NODE_PATH holds the package.
//
// A call is {path, message, deadline, cancel, streams}: the message in base64; the deadline in milliseconds; when to
// cancel: "held" once the server says that it waits, "answered" at the first answer. Writes a JSON list of what each came
// to, in the same order: {code, details, metadata, answers}.

const grpc = require("@grpc/grpc-js");

const bytes = (value) => value;
const address = process.argv[2];
const client = new grpc.Client(address, grpc.credentials.createInsecure());

function until(path, wanted, then) {
  client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error, answer) => {
    if (error) throw error;
    if (answer.toString().startsWith(wanted)) then();
    else setTimeout(() => until(path, wanted, then), 10);
  });
}

function make({ path, message = "", deadline, cancel, streams }) {
  return new Promise((done) => {
    const options = { deadline: Date.now() + (deadline ?? 20000) };
    const request = Buffer.from(message, "base64");
    const answers = [];
    let call;
    const note = (answer) => {
      answers.push(answer.toString("base64"));
      if (cancel === "answered") call.cancel();
    };
    if (streams) {
      call = client.makeServerStreamRequest(path, bytes, bytes, request, new grpc.Metadata(), options);
      call.on("data", note);
      call.on("error", () => {});
    } else {
      call = client.makeUnaryRequest(path, bytes, bytes, request, new grpc.Metadata(), options, (error, answer) => {
        if (!error) note(answer);
      });
    }
    call.on("status", ({ code, details, metadata }) => done({ code, details, metadata: metadata.getMap(), answers }));
    if (cancel === "held") until("/test.Service/Held", "1", () => call.cancel());
  });
}

async function main() {
  let input = "";
  for await (const part of process.stdin) input += part;
  const results = [];
  for (const call of JSON.parse(input)) results.push(await make(call));
  process.stdout.write(JSON.stringify(results));
  client.close();
}

main();
