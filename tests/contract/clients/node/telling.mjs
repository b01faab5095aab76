// How every client of Node is asked, and how it tells what it saw: one JSON file in, one JSON file out.
// The same acts as python/telling.py has. An act is an async generator of pieces of text, and of facts as objects.
import { readFileSync, writeFileSync } from "node:fs";

const [scoreFile, toldFile] = process.argv.slice(2);
export const score = JSON.parse(readFileSync(scoreFile, "utf8"));
const { url, hasty_url: hastyUrl, key, texts } = score;

/** `connect(url, key)` gives `{plain, stream, usage}`; `more` has acts of this client alone. All acts at once. */
export async function perform(connect, more = {}) {
  const acts = Object.entries({ ...standard(connect), ...more });
  const seen = await Promise.all(acts.map(async ([name, act]) => [name, await told(act)]));
  const versions = Object.fromEntries(score.packages.map((name) => [name, versionOf(name)]));
  writeFileSync(toldFile, JSON.stringify({ versions, acts: Object.fromEntries(seen) }));
}

function standard(connect) {
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
  };
}

async function told(act) {
  const pieces = [];
  const facts = {};
  try {
    for await (const seen of act()) typeof seen === "string" ? pieces.push(seen) : Object.assign(facts, seen);
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
    status: last.status ?? last.statusCode ?? null,
    code: code === null ? null : String(code),
    message: String(error.message),
  };
}

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
