"use strict";
// Shows the entries of the checks, which are data, when a group or a check is opened. Every text is set as text.
(async () => {
  const MOST_ROWS = 300; // of one group at a time: more than a person reads
  const MOST_LINES = 60; // of a text that is shown whole; of a longer one, and of a log on paper, SHOWN_LINES
  const SHOWN_LINES = 40;
  const page = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const groups = [...document.querySelectorAll("details.group")];
  const WHOLE = "whole"; // an address that the page has set: it has the filter, too; that of a link has not
  const SELECTS = ["tier", "area", "group", "cause"];
  const FAILURES = ["failed", "error", "never_ran"]; // of these, those that the page has
  const state = { text: "", outcomes: new Set(), tier: "", area: "", group: "", cause: "" };
  const failures = presentOf(FAILURES).length ? presentOf(FAILURES) : presentOf(["not_judged"]); // what fails the run
  const data = await readData().catch(() => ({ labels: {}, korean: {}, checks: [] }));

  // ---- data -----------------------------------------------------------------------------------------------------
  // The notice that the data cannot be read is in the page; it is removed when they are read.
  async function readData() {
    const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (each) => each.charCodeAt(0));
    const read = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
    $("unreadable").remove();
    return read;
  }

  // ---- small helpers -------------------------------------------------------------------------------------------
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== undefined && value !== null && value !== "") made.setAttribute(key, value);
    }
    made.append(...children.filter((each) => each !== null && each !== undefined && each !== ""));
    return made;
  }
  const translated = (text) => inBoth(text, data.korean[text]);
  const filled = (text, numbers) => numbers.reduce((found, number) => found.replace("{}", number), text);
  const counted = (text, ...numbers) => inBoth(filled(text, numbers), filled(data.korean[text] || "", numbers));
  function inBoth(english, korean) {
    const fragment = document.createDocumentFragment();
    if (korean) fragment.append(element("span", { class: "t", lang: "en" }, ...prose(english)), element("span", { class: "t", lang: "ko" }, ...prose(korean)));
    else fragment.append(...prose(english));
    return fragment;
  }
  // What is between backticks is code.
  const prose = (text) => text.split(/`+([^`]+)`+/).map((part, place) => (place % 2 ? element("code", {}, part) : part));
  // An attribute in both languages, as the templates have it.
  function labelled(node, name, text) {
    Object.assign(node.dataset, { of: name, en: text, ko: data.korean[text] || text });
    node.setAttribute(name, node.dataset[page.lang]);
    return node;
  }
  // Details whose content is made when they are opened.
  function lazy(details, make) {
    details.fill = () => details.children.length === 1 && details.append(...make());
    details.addEventListener("toggle", () => details.open && details.fill());
    return details;
  }
  function presentOf(words) {
    return words.filter((word) => document.querySelector(`.filters [data-outcome=${word}]`));
  }
  const outcomeOf = (check) => check.o || "passed";
  const isWrong = (check) => !["passed", "skipped"].includes(outcomeOf(check));
  const nameOf = (check) => check.i || nodeOf(check);
  const nodeOf = (check) => (check.m === undefined ? "" : `${data.modules[check.m]}::${check.n}`);
  const latestOf = (check) => (check.sides ? check.sides[1] || check.sides[0] : check); // of a comparison
  const claimOf = (check) => data.claims[check.c];
  const causesOf = (check) => (check.a === undefined ? check.b || [] : [check.a]);

  // ---- filter ---------------------------------------------------------------------------------------------------
  const isFiltered = () => state.text || state.outcomes.size || SELECTS.some((name) => state[name]);
  function searched(check) {
    if (check.searched === undefined) {
      const texts = [check, ...(check.sides || [])].flatMap((each) => (each && each.r ? [each.r.reason, each.r.expected, each.r.found, each.r.breaks] : []));
      check.searched = [nameOf(check), nodeOf(check), claimOf(check), check.ko, check.kc, ...texts].join("\n").toLowerCase();
    }
    return check.searched;
  }
  function matches(check) {
    return (
      (!state.outcomes.size || state.outcomes.has(outcomeOf(check))) &&
      (!state.tier || (check.t || "M") === state.tier) &&
      (!state.area || groups[check.g].dataset.area === state.area) &&
      (!state.group || groups[check.g].dataset.name === state.group) &&
      (!state.cause || causesOf(check).some((place) => String(place + 1) === state.cause)) &&
      (!state.text || state.text.split(/\s+/).every((word) => searched(check).includes(word)))
    );
  }
  let found = [];
  function apply() {
    found = groups.map(() => []);
    let number = 0;
    for (const check of data.checks) {
      if (matches(check)) {
        found[check.g].push(check);
        number += 1;
      }
    }
    const filtered = Boolean(isFiltered());
    groups.forEach((group, place) => {
      group.hidden = filtered && !found[place].length;
      group.querySelector(".rows").replaceChildren();
      group.dataset.shown = "";
      if (filtered && found[place].length && number <= MOST_ROWS) group.open = true;
      if (group.open) fill(group);
    });
    $("matches").textContent = filtered ? `${number} / ${data.checks.length}` : "";
    $("reset").hidden = !filtered;
    for (const button of document.querySelectorAll("[data-outcome]")) {
      button.setAttribute("aria-pressed", String(state.outcomes.has(button.dataset.outcome)));
    }
  }
  // The address names the part that is open, and the filter: #1.4-automatic-restart?outcome=failed.
  function address(part) {
    const parts = new URLSearchParams();
    if (state.text) parts.set("q", state.text);
    if (state.outcomes.size) parts.set("outcome", [...state.outcomes].join(","));
    for (const name of SELECTS) if (state[name]) parts.set(name, state[name]);
    const filter = parts.toString();
    return part || filter ? `#${encodeURIComponent(part)}${filter ? `?${filter}` : ""}` : location.pathname + location.search;
  }
  function setAddress(part) {
    history.replaceState(WHOLE, "", address(part));
  }
  function updateFilter() {
    apply();
    setAddress("");
  }
  function clear() {
    Object.assign(state, { text: "", tier: "", area: "", group: "", cause: "" });
    state.outcomes.clear();
    show();
  }
  function show() {
    $("search").value = state.text;
    for (const name of SELECTS) if ($(name)) $(name).value = state[name];
  }

  // ---- rows -----------------------------------------------------------------------------------------------------
  const ORDER = ["absent", "failed", "error", "never_ran", "not_judged", "warned", "baselined", "passed", "skipped"];
  function fill(group) {
    if (group.dataset.shown) return;
    group.dataset.shown = "yes";
    const rows = group.querySelector(".rows");
    fillRows(group, rows);
    const { l: logs = [] } = data.groups ? data.groups[Number(group.dataset.group)] : {};
    if (logs.length) rows.append(folded("Logs", ...logsAt(logs)));
  }
  function logsAt(places) {
    return places.map((place) => {
      const log = data.logs[place];
      const title = element("summary", {}, element("code", {}, log.name), log.cut_bytes ? element("small", {}, " ", counted("{} earlier bytes are left out", log.cut_bytes)) : "");
      return lazy(element("details", { class: "log" }, title), () => texts(log.text, true));
    });
  }
  // The lines that were written in the steps of a check; what is between them is left out.
  function stepLines(places) {
    return Object.entries(places).map(([place, parts]) => {
      const lines = data.logs[place].text.split("\n");
      const text = parts.map(([first, last]) => lines.slice(first, last + 1).join("\n")).join("\n…\n");
      return element("div", { class: "code" }, element("code", {}, data.logs[place].name.replace(/^.*?\/.*?\//, "")), ...texts(text, true));
    });
  }
  function fillRows(group, rows) {
    const checks = [...found[Number(group.dataset.group)]];
    checks.sort((a, b) => ORDER.indexOf(outcomeOf(a)) - ORDER.indexOf(outcomeOf(b)));
    const wrong = checks.filter(isWrong);
    if (isFiltered() || !wrong.length) {
      rows.append(...batch(checks));
      return;
    }
    rows.append(...batch(wrong));
    for (const word of ["passed", "skipped"]) {
      const rest = checks.filter((each) => outcomeOf(each) === word);
      if (!rest.length) continue;
      const folded = element("details", { class: "folded" }, element("summary", {}, `${rest.length} `, translated(data.labels[word])));
      folded.checks = rest;
      rows.append(lazy(folded, () => batch(rest)));
    }
  }
  function batch(checks) {
    const shown = checks.slice(0, MOST_ROWS).map(row);
    const rest = checks.slice(MOST_ROWS);
    if (rest.length) {
      const more = element("button", { type: "button", class: "more" }, counted("{} more", rest.length));
      more.addEventListener("click", () => more.replaceWith(...batch(rest)));
      shown.push(more);
    }
    return shown;
  }
  function row(check) {
    const outcome = outcomeOf(check);
    const details = element("details", { class: `check ${outcome}`, "data-name": nameOf(check) });
    const claim = element("span", { class: "claim" });
    if (check.ko) claim.append(element("span", { class: "title", lang: "ko" }, check.ko), " ");
    claim.append(inBoth(claimOf(check), check.kc));
    const { r = {}, f = [] } = latestOf(check);
    const word = outcome === "passed" ? "" : outcome === "skipped" || outcome === "not_judged" ? r.reason : r.found || r.reason;
    const figures = f.map((each) => each[0] + (each[1] ? ` / ${each[1]}` : "")).join(", ");
    const before = check.was ? [element("span", { class: `before ${check.was}` }, translated(data.labels[check.was])), " → "] : [];
    details.append(
      element(
        "summary",
        {},
        element("span", { class: "outcome" }, ...before, translated(data.labels[outcome])),
        element("span", { class: "id" }, check.i || check.n),
        labelled(element("span", { class: "tier" }, check.t || "M"), "title", data.tiers[check.t || "M"]),
        element("span", { class: "text" }, claim, check.new ? element("span", { class: "badge" }, translated("new")) : "", check.flips > 1 ? element("span", { class: "badge" }, counted("changed {} times", check.flips)) : "", word ? element("span", { class: "why" }, word === r.reason ? inBoth(word, r.reason_ko) : word) : null),
        element("span", { class: "figures" }, figures),
        element("span", { class: "time" }, check.sides ? "" : formatSeconds(check.s || 0)),
      ),
    );
    details.check = check;
    return lazy(details, () => [body(check)]);
  }
  function line(name, ...values) {
    return element("div", {}, element("dt", {}, translated(name)), element("dd", {}, ...values));
  }
  function body(check) {
    const { source, breaks } = check.r || {};
    const list = element("dl", { class: "findings" });
    if (!check.sides) list.append(...findings(check));
    if (source) list.append(line("source", ...prose(source)));
    if (breaks) list.append(line("affected clients", ...prose(breaks)));
    for (const place of causesOf(check)) list.append(line("cause", element("a", { href: `#cause-${place + 1}` }, ...prose(data.causes[place]))));
    const link = labelled(element("a", { class: "permalink", href: `#${encodeURIComponent(nameOf(check))}` }, "#"), "aria-label", "link to this check");
    list.append(line("test", element("code", {}, nodeOf(check) || nameOf(check)), " ", link));
    return element("div", { class: "body" }, list, ...(check.sides ? [renderSides(check.sides)] : evidence(check)));
  }
  function renderSides(sides) {
    const shown = sides.map((side, place) => {
      const title = element("h4", {}, translated(place ? "After" : "Before"), ": ", translated(data.labels[side ? side.o : "absent"]));
      return element("section", { class: `side ${side ? side.o : "absent"}` }, title, ...(side ? [element("dl", { class: "findings" }, ...findings(side)), ...evidence(side)] : []));
    });
    return element("div", { class: "sides" }, ...shown);
  }
  function findings({ r = {}, f = [] }) {
    const lines = [];
    if (r.expected) lines.push(line("expected", element("code", {}, r.expected)));
    if (r.found) lines.push(line("found", element("code", {}, r.found)));
    if (r.at) lines.push(line("at", element("code", {}, r.at)));
    for (const [expected, value] of r.held || []) lines.push(line("as expected", element("code", {}, expected), value ? ": " : "", value ? element("code", {}, value) : ""));
    if (!r.found && r.reason) lines.push(line("reason", r.reason_ko ? inBoth(r.reason, r.reason_ko) : element("code", {}, r.reason)));
    for (const each of r.warnings || []) if (each !== r.reason) lines.push(line("warning", each));
    for (const each of r.known || []) lines.push(line("known failure", each));
    if (r.because) lines.push(line("because of", ...r.because.flatMap((id) => [element("a", { href: `#${encodeURIComponent(id)}` }, id), " "])));
    for (const each of f) lines.push(line(each[3] || "measured", `${each[0]}${each[1] ? ` / ${each[1]} (${Math.round(each[2] * 100)} %)` : ""}`));
    return lines;
  }
  function evidence({ r = {}, x = [], l = [], w }) {
    const made = [];
    if (r.curl) made.push(request(r.curl));
    if (r.curl_remark) made.push(element("p", { class: "remark" }, translated(r.curl_remark)));
    if (r.dump) made.push(code(r.dump, "bytes", "dump"));
    else if (r.excerpt) made.push(code(r.excerpt, "bytes"));
    if (r.observed) made.push(observed(r.observed));
    for (const place of x) made.push(exchange(data.exchanges[place], r.curl));
    if (r.log) made.push(element("details", { class: "output" }, element("summary", {}, translated("log")), ...texts(r.log, true)));
    if (w) made.push(element("h4", {}, translated("what was logged in the steps that this check is about")), ...stepLines(w));
    if (l.length) made.push(folded("logs of the whole stage", ...logsAt(l)));
    return made;
  }
  function folded(name, ...content) {
    return element("details", {}, element("summary", {}, translated(name)), ...content);
  }
  function code(text, name, kind) {
    return element("div", { class: "code" }, element("p", { class: "name" }, translated(name)), element("pre", { tabindex: "0", class: kind }, ...marked(text)));
  }
  // The line of the offset in a hexdump begins with ">".
  const marked = (text) => text.split(/^(>.*)$/m).map((part, place) => (place % 2 ? element("mark", {}, part) : part));
  // A request that can be sent again, to a server that somebody has started: the one of the run has ended.
  function request(curl) {
    const made = code(curl, "Send the request alone");
    const port = /:\/\/[^\s/]*:(\d+)/.exec(curl);
    if (port) made.firstChild.append(": ", counted("start the server, and put its port in the place of {}", port[1]));
    made.append(element("button", { type: "button", class: "copy" }, translated("Copy")));
    return made;
  }
  // A text, and if it is long, a button that shows the rest: of a log, what is before its end.
  function texts(text, isLog = false) {
    const lines = text.trimEnd().split("\n");
    if (lines.length <= (isLog ? SHOWN_LINES : MOST_LINES)) return [element("pre", { tabindex: "0" }, text)];
    const shown = element("pre", { tabindex: "0" }, (isLog ? lines.slice(-SHOWN_LINES) : lines.slice(0, SHOWN_LINES)).join("\n"));
    const rest = lines.length - SHOWN_LINES;
    const more = element("button", { type: "button", class: "more lines" }, isLog ? counted("{} earlier lines", rest) : counted("{} more lines", rest));
    more.addEventListener("click", () => {
      shown.textContent = text;
      shown.focus({ preventScroll: true });
      more.remove();
    });
    return isLog ? [more, shown] : [shown, more];
  }
  function observed(fields) {
    const rows = fields.map(([path, value]) => element("tr", {}, element("th", { scope: "row" }, path), element("td", {}, element("code", {}, value))));
    return element("table", { class: "observed" }, element("caption", {}, translated("observed fields")), element("tbody", {}, ...rows));
  }

  // ---- exchanges --------------------------------------------------------------------------------------------------
  function exchange(one, curl) {
    const status = one.status === null ? one.ended : `${one.status}, ${one.ended}`;
    const title = `${one.request[0] || one.url} → ${status}, ${one.body_bytes} B, ${formatSeconds(one.times.ended)}`;
    return lazy(element("details", { class: "exchange" }, element("summary", {}, element("code", {}, title), ...(one.gateway ? [element("br"), upstream(one.gateway)] : []))), () => parts(one, curl));
  }
  // What the scripted gateway received meanwhile.
  function upstream({ requests, more }) {
    const lines = (requests || []).map((each) => `${each.line || "…"} → ${each.answer.split("\r\n")[0].replace(/^HTTP\S+ /, "") || each.ended || "…"}`);
    const rest = more ? [" ", counted("{} more", more)] : [];
    const said = lines.length ? element("code", {}, lines.join("; ")) : requests ? translated("the gateway received no request") : translated("not known: other requests ran at the same time");
    return element("small", {}, translated("server → gateway"), ": ", said, ...rest);
  }
  function gatewaySide(each) {
    const answer = each.answer ? each.answer : each.ended || "…";
    return [
      element("h4", {}, translated("server → gateway"), ` ${formatSeconds(each.at)}`),
      ...(each.line ? texts([each.line, "", each.body].join("\n")) : [element("pre", { tabindex: "0" }, translated("a connection; no request was read"))]),
      element("h4", {}, translated("gateway → server"), ` ${each.answer_bytes} B${each.ended ? `, ${each.ended}` : ""}`),
      ...texts(answer),
    ];
  }
  function parts(one, curl) {
    const made = [waterfall(one.times)];
    if (one.times.chunks.length > 1) made.push(folded("received pieces", arrivals(one.times)));
    made.push(element("h4", {}, translated("request")), ...texts([...one.request, "", one.request_body].join("\n")), ...bodyNotes(one, "request_body", one.request_bytes));
    made.push(element("h4", {}, translated("response")), ...texts((one.response.length ? one.response : [one.error || one.ended]).join("\n")));
    if (one.events) {
      const items = one.events.data.map((each, place) => element("li", {}, element("span", { class: "at" }, timeOf(one.events, place)), element("code", {}, each)));
      const rest = one.events.number - items.length;
      made.push(element("h4", {}, counted("{} events", one.events.number)), element("ol", { class: "events" }, ...items), rest > 0 ? element("p", {}, "… ", counted("{} more", rest)) : "");
      made.push(folded("body", ...texts(one.body)));
    } else if (one.body) made.push(...texts(one.body));
    const decoded = one.decoded_bytes === undefined ? one.body_bytes : one.decoded_bytes;
    made.push(...bodyNotes(one, "body", decoded));
    if (decoded !== one.body_bytes) made.push(element("p", { class: "note" }, counted("{} bytes on the wire, {} without their content coding", one.body_bytes, decoded)));
    if (one.gateway) made.push(...(one.gateway.requests || []).flatMap(gatewaySide));
    if (one.curl && one.curl !== curl) made.push(request(one.curl));
    return made;
  }
  function timeOf(events, place) {
    const at = events.times && events.times[place];
    return typeof at === "number" ? formatSeconds(at) : "";
  }
  // Whether a body is cut, where all of it is, and whether a secret is masked.
  function bodyNotes(one, name, bytes) {
    const notes = [];
    if (one.cut.includes(name)) {
      const file = one.files && one.files[name];
      if (file) notes.push(element("a", { href: file }, counted("{} bytes: all of them in a file", bytes)));
      else if (one.files) notes.push(translated("the file with all bytes is not there any more"));
      else if (one.not_kept) notes.push(counted("{} bytes; they could not be kept", bytes), `: ${one.not_kept}`);
      else notes.push(counted("{} bytes, cut here; a run with --keep-bodies DIR keeps all of them in a file", bytes));
    }
    if (one.masked.includes(name)) notes.push(notes.length ? "; " : "", translated("a secret in this body is masked"));
    return notes.length ? [element("p", { class: "note" }, ...notes)] : [];
  }
  function waterfall(times) {
    const whole = times.ended || 1e-6;
    const first = times.first_byte === null ? times.ended : times.first_byte;
    const spans = [["connect", 0, times.connected], ["send", times.connected, times.sent], ["wait", times.sent, first], ["receive", first, times.ended]];
    const list = labelled(element("ol", { class: "waterfall" }), "aria-label", "times of the exchange");
    for (const [name, begin, end] of spans) {
      if (name === "receive" && times.first_byte === null) continue;
      const bar = element("i", { class: name, style: `margin-left:${(begin / whole) * 100}%;width:${Math.max(0.4, ((end - begin) / whole) * 100)}%` });
      const track = element("span", { class: "track" }, bar);
      if (name === "receive") {
        for (const [at, length] of times.chunks) track.append(element("b", { style: `left:${(at / whole) * 100}%`, title: `${formatSeconds(at)}: ${length} B` }));
      }
      const many = name === "receive" && times.number_of_chunks ? ` (${times.number_of_chunks})` : "";
      list.append(element("li", {}, element("span", {}, translated(name), many), track, element("span", {}, formatSeconds(end - begin))));
    }
    return list;
  }
  function arrivals(times) {
    const cells = (...texts) => texts.map((each) => element("td", {}, each));
    const rows = times.chunks.map(([at, length], place) => {
      const [before, had] = place ? times.chunks[place - 1] : [times.sent, 0];
      return element("tr", {}, ...cells(formatSeconds(at), `+${formatSeconds(at - before)}`, `${length - had}`));
    });
    const heads = ["after", "since the one before", "bytes"].map((each) => element("th", { scope: "col" }, translated(each)));
    const rest = times.number_of_chunks - rows.length;
    return element("table", { class: "arrivals" }, rest > 0 ? element("caption", {}, counted("{} more between these", rest)) : "", element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  }

  // ---- links --------------------------------------------------------------------------------------------------------
  function readFilter(text) {
    const parts = new URLSearchParams(text);
    clear();
    state.text = (parts.get("q") || "").toLowerCase();
    for (const word of (parts.get("outcome") || "").split(",").filter(Boolean)) state.outcomes.add(word);
    for (const name of SELECTS) state[name] = parts.get(name) || "";
    show();
    apply();
  }
  function followLink(event) {
    let [wanted, ...filter] = location.hash.slice(1).split("?");
    const isNew = history.state !== WHOLE; // not one that the reader comes back to
    showUnknownLink("");
    if (!wanted || !isNew || filter.length) readFilter(filter.join("?"));
    if (!wanted) {
      if (largest) selectCause(largest);
      if (event && isNew && filter.length) $("checks").scrollIntoView();
      history.replaceState(WHOLE, "");
      return;
    }
    try {
      wanted = decodeURIComponent(wanted);
    } catch {
      // it is shown as it is
    }
    const check = data.checks.find((each) => each.i === wanted || nodeOf(each) === wanted) || data.checks.find((each) => each.i && each.i.startsWith(`${wanted}-`));
    if (!check) {
      const part = $(wanted) || $(`group-${wanted}`);
      if (!part) return showUnknownLink(wanted);
      reveal(part);
      setAddress(wanted);
      return;
    }
    if (!matches(check)) {
      clear();
      apply();
    }
    setAddress(wanted);
    const group = groups[check.g];
    group.open = true;
    fill(group);
    for (const one of group.querySelectorAll(".folded")) {
      if (one.checks.includes(check)) {
        one.open = true;
        one.fill();
      }
    }
    let target = [...group.querySelectorAll("details.check")].find((each) => each.check === check);
    while (!target && group.querySelector(".more")) {
      group.querySelector(".more").click();
      target = [...group.querySelectorAll("details.check")].find((each) => each.check === check);
    }
    if (!target) return;
    target.open = true;
    target.querySelector("summary").focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  }

  // On a wide screen, one cause is shown at a time, beside the names of all: see style.css.
  function selectCause(article) {
    for (const each of document.querySelectorAll(".cause")) each.classList.toggle("picked", each === article);
    article.open = true;
    for (const link of document.querySelectorAll(".names a")) {
      if (link.hash === `#${article.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  function reveal(part) {
    if (part.matches(".cause")) {
      selectCause(part);
      part.scrollIntoView({ block: "nearest" });
      return;
    }
    if (part.matches("details.group")) {
      if (part.hidden) {
        clear();
        apply();
      }
      part.open = true;
      fill(part);
      part.querySelector("summary").focus({ preventScroll: true });
    }
    part.scrollIntoView({ block: "start" });
  }
  function showUnknownLink(id) {
    const notice = $("unknown-link");
    notice.hidden = !id;
    notice.replaceChildren();
    if (!id) return;
    notice.append(element("b", {}, id.slice(0, 200)), " ", translated("Nothing on this page has this id: the run did not select it, or it has another name now."));
    notice.scrollIntoView({ block: "start" });
  }

  // ---- language ---------------------------------------------------------------------------------------------------------
  function setLanguage(language) {
    page.lang = language;
    for (const node of document.querySelectorAll("[data-of]")) {
      if (node.dataset.of === "text") node.textContent = node.dataset[language];
      else node.setAttribute(node.dataset.of, node.dataset[language]);
    }
    for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === language));
    store("lumen-language", language);
  }
  const firstLanguage = () => stored("lumen-language") || ((navigator.language || "").startsWith("ko") ? "ko" : "en");
  // What a reader has chosen is kept, unless the browser gives a file no storage.
  function store(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch {
      // it is asked again
    }
  }
  function stored(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  }

  // ---- events -------------------------------------------------------------------------------------------------------------
  for (const group of groups) {
    group.fill = () => fill(group);
    group.addEventListener("toggle", () => group.open && fill(group));
  }
  $("search").addEventListener("input", () => {
    state.text = $("search").value.trim().toLowerCase();
    updateFilter();
  });
  for (const name of SELECTS) {
    if ($(name)) $(name).addEventListener("change", () => ((state[name] = $(name).value), updateFilter()));
  }
  document.querySelector(".filters").addEventListener("submit", (event) => {
    event.preventDefault();
    step(1); // Enter goes to the first check that was found
  });
  document.querySelector(".filters").addEventListener("reset", (event) => {
    event.preventDefault();
    clear();
    updateFilter();
  });
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("details.check > summary");
    if (summary) setAddress(summary.parentElement.open ? "" : nameOf(summary.parentElement.check)); // it changes after this
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.outcome) {
      const word = button.dataset.outcome;
      if (!state.outcomes.delete(word)) state.outcomes.add(word);
      updateFilter();
    } else if (button.dataset.language) setLanguage(button.dataset.language);
    else if (button.className === "copy") copy(button);
  });
  function copy(button) {
    const text = button.parentElement.querySelector("pre").textContent;
    const selected = () => {
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
    };
    const done = () => button.replaceChildren(translated("Copied"));
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, selected);
    else selected();
  }
  // A key is known by its character, or by its place where the layout has another one there, as the Korean layout has.
  const KEYS = {
    "/": () => $("search").focus(),
    j: () => step(1),
    k: () => step(-1),
    f: () => {
      const only = failures.every((word) => state.outcomes.has(word));
      clear();
      if (!only) failures.forEach((word) => state.outcomes.add(word));
      updateFilter();
    },
    l: () => setLanguage(page.lang === "ko" ? "en" : "ko"),
  };
  const PLACES = { Slash: "/", KeyJ: "j", KeyK: "k", KeyF: "f", KeyL: "l" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.matches("select")) return;
    const typing = event.target.matches("input:not([type=checkbox]), textarea");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      clear();
      updateFilter();
    }
    const name = /^[ -~]$/.test(event.key) ? event.key.toLowerCase() : PLACES[event.code];
    if (typing || !$("keys").checked || !Object.hasOwn(KEYS, name)) return;
    event.preventDefault();
    KEYS[name]();
  });
  $("keys").checked = stored("lumen-keys") !== "off";
  $("keys").addEventListener("change", () => store("lumen-keys", $("keys").checked ? "on" : "off"));
  function step(by) {
    const rows = [...document.querySelectorAll("details.check > summary")].filter((each) => each.offsetParent);
    const at = rows.indexOf(document.activeElement);
    const first = Math.max(0, rows.findIndex((each) => failures.includes(outcomeOf(each.parentElement.check))));
    const next = rows[at >= 0 ? at + by : by < 0 ? rows.length - 1 : first];
    if (next) next.focus();
  }
  for (const event of ["focusin", "pointerover"]) {
    document.addEventListener(event, ({ target }) => {
      const figure = target.closest && target.closest("figure.timeline");
      const title = figure && target.querySelector(":scope > title");
      if (title) figure.querySelector(".mark-record").textContent = title.textContent;
    });
  }
  // What a timeline shows is one stop of the Tab key: arrows go to the next and the one before, in the order of time.
  const leftOf = (mark) => Number(mark.getAttribute("x") || mark.getAttribute("cx"));
  for (const drawing of document.querySelectorAll("figure.timeline svg")) {
    const marks = [...drawing.querySelectorAll("[tabindex]")].sort((one, other) => leftOf(one) - leftOf(other));
    if (marks.length) marks[0].setAttribute("tabindex", "0");
    drawing.addEventListener("focusin", ({ target }) => marks.forEach((mark) => mark.setAttribute("tabindex", mark === target ? "0" : "-1")));
    drawing.addEventListener("keydown", (event) => {
      const at = marks.indexOf(document.activeElement);
      const next = marks[{ ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: marks.length - 1 }[event.key]];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  }
  for (const link of document.querySelectorAll(".names a")) {
    link.addEventListener("click", (event) => {
      if (!matchMedia("(min-width: 1000px)").matches) return; // the causes stand below each other
      event.preventDefault(); // the cause is beside its name: nothing must scroll while its beginning is on the screen
      const name = link.hash.slice(1);
      if (location.hash !== address(name)) history.pushState(WHOLE, "", address(name));
      const cause = $(name);
      selectCause(cause);
      const top = cause.getBoundingClientRect().top;
      if (top < 0 || top > innerHeight) cause.scrollIntoView({ block: "nearest" });
    });
  }
  addEventListener("hashchange", followLink);
  // What failed is printed with its cause, evidence and command; afterwards the page is as it was.
  const unfolded = [];
  function unfold(details) {
    if (!details.open) unfolded.push(details);
    details.open = true;
    if (details.fill) details.fill();
  }
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details.cause, .cause details:not(.hidden-by)").forEach(unfold);
    groups.filter((group, place) => group.open || found[place].some(isWrong)).forEach(unfold);
    const first = new Set([...document.querySelectorAll("details.cause")].map((each) => each.dataset.first));
    for (const check of document.querySelectorAll("details.check:is(.failed, .error)")) {
      if (!first.has(check.dataset.name)) continue;
      unfold(check);
      check.querySelectorAll(":is(.exchange, .output)").forEach(unfold);
    }
  });
  addEventListener("afterprint", () => unfolded.splice(0).forEach((details) => (details.open = false)));

  page.classList.add("scripted");
  const largest = document.querySelector(".cause[id]");
  if (largest) selectCause(largest);
  setLanguage(firstLanguage());
  apply();
  followLink();
  page.dataset.ready = "yes";
})();
