"use strict";
// The page of `mrs serve`: a user or a growing history, the list, why an item is shown, and similar items.
const $ = (id) => document.getElementById(id);
const state = { user: null, history: [], health: null };
const number = (value) => (Math.abs(value) >= 0.01 ? value.toFixed(3) : value.toExponential(1));

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = "Bearer " + token;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    const given = prompt("The token of this service");
    if (given) { sessionStorage.setItem("token", given); return ask(path, options); }
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}
const post = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function picture(place, size) {
  if (!place.picture) return element("span", { className: "none", textContent: "no picture" });
  const shown = element("img", { alt: "", loading: "lazy" });
  const token = sessionStorage.getItem("token");
  const path = place.picture + "?size=" + size;
  if (!token) shown.src = path;
  else fetch(path, { headers: { authorization: "Bearer " + token } }).then((got) => got.blob()).then((blob) => { shown.src = URL.createObjectURL(blob); });
  return shown;
}

function card(place, action, ranked) {
  const name = place.title || place.item_id;
  return element("button", { className: "card", type: "button", title: name, onclick: () => action(place) },
    picture(place, ranked ? 320 : 160),
    ranked ? element("span", { className: "rank", textContent: place.rank }) : null,
    place.new ? element("span", { className: "tag", textContent: "new" }) : null,
    element("span", { className: "text" }, element("b", { textContent: name }),
      ranked ? element("span", { className: "quiet", textContent: place.item_id }) : null,
      place.note ? element("span", { className: "quiet", textContent: place.note }) : null));
}

const whom = () => (state.user ? { user: state.user } : { history: state.history.map((place) => place.item_id) });

async function show() {
  try {
    if (state.user) {
      const taken = await ask("/v1/users/" + encodeURIComponent(state.user) + "/history?k=30");
      state.history = taken;
      $("history-title").textContent = "What " + state.user + " took";
      $("history-note").textContent = taken.length ? "Latest first." : "Nothing is known of this user.";
    } else {
      $("history-title").textContent = "History of a new visitor";
      $("history-note").textContent = state.history.length ? "Click to take one out again." : "Open an item below and choose “Take it”: the list follows at once.";
    }
    const remove = (place) => { if (!state.user) { state.history = state.history.filter((each) => each !== place); show(); } else why(place, true); };
    $("history").replaceChildren(...state.history.map((place) => card(place, remove, false)));
    const list = await post("/v1/recommendations", { ...whom(), k: 18 });
    $("list-title").textContent = "Recommended";
    $("notice").textContent = list.notice || "Ranked by " + (list.ranked_by === "history" ? list.model + ", from this history alone." : list.model + ". Click an item to see why.");
    $("list").replaceChildren(...list.places.map((place) => card(place, why, true)));
  } catch (error) { $("notice").textContent = error.message; }
}

function bars(values) {
  const largest = Math.max(...Object.values(values).map(Math.abs), 1e-12);
  const made = element("div", { className: "bars" });
  for (const [name, value] of Object.entries(values).sort((one, two) => two[1] - one[1])) {
    const bar = element("i", { className: value < 0 ? "less" : "more" });
    bar.style.width = (100 * Math.abs(value)) / largest + "%";
    made.append(element("span", { textContent: name === "id" ? "itself" : name }), element("span", { className: "track" }, bar), element("span", { className: "number", textContent: (value < 0 ? "−" : "+") + number(Math.abs(value)) }));
  }
  return made;
}

async function why(place, taken = false) {
  const body = element("div");
  $("panel").hidden = false;
  $("panel-body").replaceChildren(body);
  const head = element("div", { className: "head" }, place.picture ? picture(place, 200) : null,
    element("div", {}, element("h2", { textContent: place.title || place.item_id }), element("p", { className: "quiet", textContent: place.item_id })));
  body.append(head);
  if (!state.user) {
    const take = element("button", { textContent: "Take it", onclick: () => { state.history = [...state.history, place]; $("panel").hidden = true; show(); } });
    body.append(element("h3"), take);
  }
  const someone = state.user || state.history.length;
  if (!taken && !place.new && someone) {
    try {
      const found = await post("/v1/explanations", { ...whom(), item: place.item_id });
      body.append(element("h3", { textContent: "Why it is shown" }), element("p", { className: "quiet", textContent: found.sentence }));
      if (Object.keys(found.excess).length > 1) body.append(element("h3", { textContent: "Share of the score above an average item" }), bars(found.excess));
      if (found.reasons.length) {
        const shown = found.reasons.slice(0, 4).map((each) => card({ ...each, note: (each.share < 0 ? "−" : "+") + number(Math.abs(each.share)) }, (again) => why({ ...again, note: null }, true), false));
        body.append(element("h3", { textContent: "What of the history speaks for it" }), element("div", { className: "small" }, ...shown));
      }
    } catch (error) { body.append(element("p", { className: "quiet", textContent: error.message })); }
  }
  if (place.new) return;
  const ways = element("div", { className: "ways" }), like = element("div", { className: "small" });
  body.append(element("h3", { textContent: "Similar items" }), ways, like);
  const compare = async (by) => {
    for (const each of ways.children) each.className = each.textContent === by ? "" : "second";
    try {
      const list = await ask("/v1/items/" + encodeURIComponent(place.item_id) + "/similar?k=8&by=" + by);
      like.replaceChildren(...list.places.map((each) => card(each, (chosen) => why(chosen), false)));
    } catch (error) { like.replaceChildren(element("p", { className: "quiet", textContent: error.message })); }
  };
  for (const by of state.health.similar_by) ways.append(element("button", { type: "button", className: "second", textContent: by, onclick: () => compare(by) }));
  if (state.health.similar_by.length) compare(state.health.similar_by.includes("joint") ? "joint" : state.health.similar_by[0]);
}

async function look() {
  const health = await ask("/health");
  state.health = health;
  document.title = health.dataset + " · mrs serve";
  $("dataset").textContent = health.dataset;
  $("state").textContent = health.model + " of window " + health.window + " · version " + health.version.slice(0, 8) + " · " + health.users.toLocaleString("en") + " users · " + health.items.toLocaleString("en") + " items" + (health.new_items ? " and " + health.new_items + " new" : "");
  $("new-item").hidden = !health.takes_new_items;
  $("audio-label").hidden = !health.media.includes("audio");
  $("fresh").hidden = !health.histories;
}

$("ask").onsubmit = (event) => { event.preventDefault(); state.user = $("user").value.trim() || null; if (state.user) location.hash = encodeURIComponent(state.user); show(); };
$("fresh").onclick = () => { state.user = null; state.history = []; $("user").value = ""; location.hash = ""; show(); };
$("close").onclick = () => { $("panel").hidden = true; };
document.onkeydown = (event) => { if (event.key === "Escape") $("panel").hidden = true; };
$("user").oninput = async () => {
  const found = await ask("/v1/users?limit=12&like=" + encodeURIComponent($("user").value));
  $("known").replaceChildren(...found.map((name) => element("option", { value: name })));
};
$("add").onsubmit = async (event) => {
  event.preventDefault();
  try {
    const made = await ask("/v1/items", { method: "POST", body: new FormData($("add")) });
    $("added").textContent = made.item_id + " is served after " + made.seconds.toFixed(2) + " s, by its " + made.modalities.join(", ") + ". Nearest: " + Object.entries(made.nearest).map(([name, places]) => name + " " + places.slice(0, 3).map((each) => each.title || each.item_id).join(", ")).join("; ") + ".";
    await look();
    show();
  } catch (error) { $("added").textContent = error.message; }
};
(async () => {
  await look();
  const wanted = decodeURIComponent(location.hash.slice(1)).split("/");
  const first = wanted[0] || (await ask("/v1/users?limit=1"))[0];
  $("user").value = state.user = first || null;
  await show();
  if (wanted[1] === "why") $("list").firstChild?.click();
})();
