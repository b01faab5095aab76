// How every client of Node is asked, and how it tells what it saw: one JSON file in, one file out.
// The same acts as python/telling.py has. An act is an async generator of pieces of text, and of facts as objects.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { format } from "node:util";

const [scoreFile, toldFile] = process.argv.slice(2);
export const score = JSON.parse(readFileSync(scoreFile, "utf8"));
const { url, hasty_url: hastyUrl, key, texts } = score;
const VISITS_AT_ONCE = 8; // most of a visit is a pause before a retry
const CLOCKS_APART_S = 0.1; // a clock of the day is adjusted by milliseconds; the shortest pause before a retry is 0.4 s

/** `connect(url, key)` gives `{plain, stream, usage, more}`; `more` has acts of this client alone. All acts at once. */
export async function perform(connect, more = {}, also = []) {
  if (score.servers) return visitAll(connect);
  const acts = Object.entries({ ...standard(connect, also), ...more });
  const seen = await Promise.all(acts.map(async ([name, act]) => [name, await told(act)]));
  const versions = Object.fromEntries(score.packages.map((name) => [name, versionOf(name)]));
  writeFileSync(toldFile, JSON.stringify({ versions, acts: Object.fromEntries(seen) }));
}

// The acts that each server is to be asked, one after another; several servers at once.
async function visitAll(connect) {
  checkClocks();
  const waiting = [...score.servers];
  async function work() {
    for (let server = waiting.shift(); server; server = waiting.shift()) {
      const acts = actsAt(connect, server.url);
      for (const act of server.acts.filter((name) => name in acts)) {
        const line = { server: server.name, act, ...(await bounded(acts[act])) };
        appendFileSync(toldFile, JSON.stringify(line) + "\n");
      }
    }
  }
  await Promise.all(Array.from({ length: VISITS_AT_ONCE }, work));
  checkClocks(); // the machine may have slept meanwhile
  process.exit(0); // whatever still hangs is written down
}

function actsAt(connect, at) {
  const { text } = score;
  const talk = connect(at, key);
  return {
    plain: () => talk.plain(text),
    stream: () => talk.stream(text),
    usage: () => talk.usage(text),
    refused: () => talk.plain(" "),
    "refused-stream": () => talk.stream(" "),
    oversize: () => talk.plain("x".repeat(4 * 1024 * 1024)),
    away: () => talk.plain("@away"),
    lost: () => talk.plain("@lost"),
    late: () => talk.stream("@late"),
    "wrong-key": () => connect(at, "not-" + key).plain(text),
    "wrong-url": () => connect(`${at}/nothing-here`, key).plain(text),
    ...Object.fromEntries(Object.entries(talk.more ?? {}).map(([name, act]) => [name, () => act(text)])),
  };
}

// What a server saw during a visit is found by time, on Python's monotonic clock. On macOS that clock stands still while
// the machine sleeps, and Node's does not. The clock of the day, which both read, tells how far they are apart.
function checkClocks() {
  const { wall_s, monotonic_s } = score.clocks;
  const apart_s = Math.abs(Date.now() / 1000 - now() - (wall_s - monotonic_s));
  if (apart_s <= CLOCKS_APART_S) return;
  const what = `the monotonic clocks of Node and Python differ by ${apart_s.toFixed(2)} s, at most ${CLOCKS_APART_S} s were expected`;
  throw new Error(`${what}; restart the machine, keep it awake, and run again`);
}

// Times are seconds of the monotonic clock, which is Python's, too: see `checkClocks`.
async function bounded(act) {
  const began_s = now();
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, score.bound_s * 1000)));
  const seen = (await Promise.race([told(act), late])) ?? { pieces: [], facts: {}, error: null, hangs: true };
  clearTimeout(timer);
  return { ...seen, began_s, ended_s: now() };
}

const now = () => Number(process.hrtime.bigint()) / 1e9;

function standard(connect, also) {
  const ours = connect(url, key);
  const hasty = connect(hastyUrl, key);
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
    late: () => hasty.stream("@late"),
    ...Object.fromEntries(also.map((name) => [name, () => ours.more[name](texts["korean-nfc"])])),
  };
}

const isFacts = (seen) => seen !== null && typeof seen === "object" && !Array.isArray(seen);

async function told(act) {
  const pieces = [];
  const facts = {};
  try {
    for await (const seen of act()) {
      if (isFacts(seen)) Object.assign(facts, seen);
      else if (seen !== null && seen !== undefined) pieces.push(format(seen).toWellFormed()); // as console.log prints it
    }
  } catch (raised) {
    return { pieces, facts, error: described(raised) };
  }
  return { pieces, facts, error: null };
}

function described(error) {
  const names = [];
  for (let each = Object.getPrototypeOf(error); each; each = Object.getPrototypeOf(each)) names.push(each.constructor.name);
  const last = error.lastError ?? error; // the AI SDK wraps the last of several
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
