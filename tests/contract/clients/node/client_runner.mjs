// Runs the acts of a Node client: reads instructions from one JSON file, writes what happened to another.
// The acts are those of python/client_runner.py. An act is an async generator of pieces of text, and of objects with
// other fields of the answer.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { format } from "node:util";

const [instructionsFile, recordFile] = process.argv.slice(2);
export const instructions = JSON.parse(readFileSync(instructionsFile, "utf8"));
const { url, early_stream_url: earlyStreamUrl, key, texts } = instructions;
const VISITS_AT_ONCE = 8; // a visit is mostly a pause before a retry
const CLOCKS_APART_S = 0.1; // the wall clock is adjusted by milliseconds; the shortest pause before a retry is 0.4 s

/** `connect(url, key)` gives `{plain, stream, usage, more}`; `more` has acts of this client only. All acts run at once. */
export async function runActs(connect, more = {}, also = []) {
  if (instructions.servers) return visitAll(connect);
  const acts = Object.entries({ ...standard(connect, also), ...more });
  const output = await Promise.all(acts.map(async ([name, act]) => [name, await recordAct(act)]));
  const versions = Object.fromEntries(instructions.packages.map((name) => [name, versionOf(name)]));
  writeFileSync(recordFile, JSON.stringify({ versions, acts: Object.fromEntries(output) }));
}

// Run the acts of each server one after another; several servers at once.
async function visitAll(connect) {
  checkClocks();
  const waiting = [...instructions.servers];
  async function work() {
    for (let server = waiting.shift(); server; server = waiting.shift()) {
      const acts = actsAt(connect, server.url);
      for (const act of server.acts.filter((name) => name in acts)) {
        const line = { server: server.name, act, ...(await bounded(acts[act])) };
        appendFileSync(recordFile, JSON.stringify(line) + "\n");
      }
    }
  }
  await Promise.all(Array.from({ length: VISITS_AT_ONCE }, work));
  checkClocks(); // the machine may have slept
  process.exit(0); // acts that hang are already recorded
}

function actsAt(connect, at) {
  const { text } = instructions;
  const calls = connect(at, key);
  return {
    plain: () => calls.plain(text),
    stream: () => calls.stream(text),
    usage: () => calls.usage(text),
    refused: () => calls.plain(" "),
    "refused-stream": () => calls.stream(" "),
    oversize: () => calls.plain("x".repeat(4 * 1024 * 1024)),
    away: () => calls.plain("@away"),
    lost: () => calls.plain("@lost"),
    late: () => calls.stream("@late"),
    "wrong-key": () => connect(at, "not-" + key).plain(text),
    "wrong-url": () => connect(`${at}/nothing-here`, key).plain(text),
    ...Object.fromEntries(Object.entries(calls.more ?? {}).map(([name, act]) => [name, () => act(text)])),
  };
}

// The requests of a visit are found by their time on Python's monotonic clock. On macOS that clock stops while the
// machine sleeps, but Node's does not. The wall clock, which both read, shows the difference.
function checkClocks() {
  const { wall_s, monotonic_s } = instructions.clocks;
  const apart_s = Math.abs(Date.now() / 1000 - now() - (wall_s - monotonic_s));
  if (apart_s <= CLOCKS_APART_S) return;
  const message = `the monotonic clocks of Node and Python differ by ${apart_s.toFixed(2)} s, at most ${CLOCKS_APART_S} s were expected`;
  throw new Error(`${message}; restart the machine, keep it awake, and run again`);
}

// Times are seconds of the monotonic clock, as in Python: see `checkClocks`.
async function bounded(act) {
  const began_s = now();
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, instructions.bound_s * 1000)));
  const output = (await Promise.race([recordAct(act), late])) ?? { pieces: [], fields: {}, error: null, hangs: true };
  clearTimeout(timer);
  return { ...output, began_s, ended_s: now() };
}

const now = () => Number(process.hrtime.bigint()) / 1e9;

function standard(connect, also) {
  const ours = connect(url, key);
  const early = connect(earlyStreamUrl, key);
  const stranger = connect(url, "not-" + key);
  const each = (kind) => Object.entries(texts).map(([name, text]) => [`${kind}.${name}`, () => ours[kind](text)]);
  return {
    ...Object.fromEntries([...each("plain"), ...each("stream")]),
    usage: () => ours.usage(texts["korean-nfc"]),
    blank: () => ours.plain(" "),
    "blank-stream": () => ours.stream(" "),
    "wrong-key": () => stranger.plain("안녕"),
    away: () => ours.plain("@away"),
    lost: () => ours.plain("@lost"),
    "lost-stream": () => ours.stream("@lost-stream"),
    late: () => early.stream("@late"),
    ...Object.fromEntries(also.map((name) => [name, () => ours.more[name](texts["korean-nfc"])])),
  };
}

const isFields = (output) => output !== null && typeof output === "object" && !Array.isArray(output);

async function recordAct(act) {
  const pieces = [];
  const fields = {};
  try {
    for await (const output of act()) {
      if (isFields(output)) Object.assign(fields, output);
      else if (output !== null && output !== undefined) pieces.push(format(output).toWellFormed()); // as console.log prints it
    }
  } catch (raised) {
    return { pieces, fields, error: describeError(raised) };
  }
  return { pieces, fields, error: null };
}

function describeError(error) {
  const names = [];
  for (let each = Object.getPrototypeOf(error); each; each = Object.getPrototypeOf(each)) names.push(each.constructor.name);
  const last = error.lastError ?? error; // the AI SDK wraps the last error of several attempts
  const code = last.code ?? last.data?.error?.code ?? null;
  return {
    class: names[0],
    ancestors: names.slice(1),
    status: [last.status, last.statusCode].find((status) => typeof status === "number") ?? null,
    code: code === null ? null : String(code),
    message: String(error.message),
  };
}

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
