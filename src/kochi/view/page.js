"use strict";
// Data: read {kind, title, dir, tokens, words, wordOf, ...}, written {dir, tokens, words, wordOf,
// starts}, shares[layer][head][target][source] in thousandths.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = { layer: data.shares.length - 1, head: -1, unit: data.unit, chosen: 0, back: -1 };

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element && key !== "dir") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function shape(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// ------------------------------------------------------------------------------ the weights

function ofHead() {
  const heads = data.shares[state.layer];
  if (state.head >= 0) return heads[state.head];
  return heads[0].map((row, i) =>
    row.map((_, j) => heads.reduce((sum, head) => sum + head[i][j], 0) / heads.length));
}

function wordsOnly() {
  return state.unit === "words" && data.written.words.length > 0;
}

function readByWords() {
  return wordsOnly() && data.read.kind === "words";
}

// Add up over the tokens of a source word, take the mean over those of a target word.
function merged() {
  const rows = ofHead();
  if (!wordsOnly()) return rows;
  const found = data.written.words.map(() => []);
  data.written.wordOf.forEach((word, i) => { if (word !== null) found[word].push(rows[i]); });
  return found.map((group) => {
    const mean = rows[0].map((_, j) => group.reduce((sum, row) => sum + row[j], 0) / group.length);
    if (!readByWords()) return mean;
    const places = new Array(data.read.words.length + 1).fill(0);
    data.read.wordOf.forEach((word, j) => { places[word === null ? places.length - 1 : word] += mean[j]; });
    return places;
  });
}

function writtenNames() {
  return wordsOnly() ? data.written.words : data.written.tokens;
}

function readNames() {
  return readByWords() ? [...data.read.words, data.read.rest] : data.read.tokens;
}

// ------------------------------------------------------------------------------ rows of words

const percent = (share) => `${Math.round(share / 10)} %`;

function shade(share) {
  const strength = Math.min(1, share / 1000);
  const mix = (light, dark) => Math.round(light + (dark - light) * strength);
  return [`rgb(${mix(255, 11)},${mix(255, 47)},${mix(255, 87)})`, strength > 0.65 ? "#fff" : "#000"];
}

function wordButton(name, special, place, choose) {
  const button = make("button", { type: "button", className: "word", role: "option", tabIndex: -1 },
    make("span", { className: special ? "special" : "", dir: "auto" }, name),
    make("span", { className: "bar" }, make("i", { className: "none" })),
    make("span", { className: "share" }, ""));
  button.addEventListener("mouseenter", () => choose(place));
  button.addEventListener("focus", () => choose(place));
  button.addEventListener("click", () => { choose(place); play(place, button); });
  return button;
}

function fillRow(row, names, specials, choose) {
  row.replaceChildren(...names.map((name, place) => wordButton(name, specials(place), place, choose)));
  if (row.firstChild) row.firstChild.tabIndex = 0;
}

// Arrow keys go the way the text runs.
function listen(row) {
  row.addEventListener("keydown", (event) => {
    const buttons = [...row.children];
    const here = buttons.indexOf(document.activeElement);
    const forward = row.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
    const backward = row.dir === "rtl" ? "ArrowRight" : "ArrowLeft";
    const there = { [forward]: here + 1, ArrowDown: here + 1, [backward]: here - 1, ArrowUp: here - 1,
      Home: 0, End: buttons.length - 1 }[event.key];
    if (there === undefined || here < 0) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(buttons.length - 1, there))].focus();
  });
}

function mark(row, chosen) {
  [...row.children].forEach((button, place) => {
    button.setAttribute("aria-selected", place === chosen);
    button.tabIndex = place === Math.max(0, chosen) ? 0 : -1;
  });
}

function fillBars(row, shares) {
  const most = shares.length ? Math.max(...shares) : 0;
  [...row.children].forEach((button, place) => {
    const share = shares.length ? shares[place] : 0;
    const bar = button.querySelector("i");
    bar.style.height = `${share / 10}%`;
    bar.className = share < 5 ? "none" : "";
    button.querySelector(".share").textContent = share >= 5 ? percent(share) : "";
    button.classList.toggle("most", share >= 5 && share === most);
  });
}

// ------------------------------------------------------------------------------ what was heard

function timeOf(place) {
  return data.read.firstSeconds + place * data.read.hopSeconds;
}

// The largest share of all words or tokens: one scale, so that spread-out attention looks spread out.
function topShare() {
  return merged().reduce((top, row) => row.reduce((most, share) => Math.max(most, share), top), 1);
}

// Many places share the attention: the tallest bar of all words stands for the largest share.
function drawHeard(shares) {
  const top = topShare();
  const svg = byId("curve");
  const width = data.read.hopSeconds;
  const bars = shares.map((share, place) => {
    const sizes = { x: timeOf(place) - width / 2, width, y: 1 - share / top, height: share / top };
    return shape("rect", { ...sizes, fill: "#1f5fa8" });
  });
  svg.replaceChildren(...bars);
}

// ------------------------------------------------------------------------------ what was seen

function boxOf(place) {
  const { columns, cellWidth, cellHeight, width, height } = data.read;
  const x = (place % columns) * cellWidth;
  const y = Math.floor(place / columns) * cellHeight;
  return { x, y, width: Math.min(cellWidth, width - x), height: Math.min(cellHeight, height - y) };
}

// What was not attended to lies in the dark: brightness is told apart by everyone.
function drawSeen(shares, framed, top = topShare()) {
  [...byId("veils").children].forEach((veil, place) => {
    veil.setAttribute("fill-opacity", (0.75 * (1 - shares[place] / top)).toFixed(3));
  });
  const thick = Math.max(data.read.width, data.read.height) / 150;
  const strokes = framed < 0 ? [] : [["#fff", 2 * thick], ["#b2521a", thick]];
  byId("frames").replaceChildren(...strokes.map(([stroke, width]) =>
    shape("rect", { ...boxOf(framed), fill: "none", stroke, "stroke-width": width })));
}

function setUpCells() {
  const cells = byId("cells");
  const count = data.read.tokens.length;
  const veils = data.read.tokens.map((_, place) => {
    const veil = shape("rect", { ...boxOf(place), fill: "#000", "shape-rendering": "crispEdges" });
    veil.addEventListener("mouseenter", () => chooseRead(place));
    return veil;
  });
  byId("veils").replaceChildren(...veils);
  cells.addEventListener("focus", () => { if (cells.matches(":focus-visible")) chooseRead(Math.max(0, state.back)); });
  cells.addEventListener("keydown", (event) => {
    const { columns } = data.read;
    const here = Math.max(0, state.back);
    const column = here % columns;
    const there = { ArrowRight: column + 1 < columns ? here + 1 : here, ArrowLeft: column ? here - 1 : here,
      ArrowDown: here + columns, ArrowUp: here - columns, Home: 0, End: count - 1 }[event.key];
    if (there === undefined) return;
    event.preventDefault();
    if (there >= 0 && there < count) chooseRead(there);
  });
}

// ------------------------------------------------------------------------------ sound

function play(place, button) {
  const audio = byId("sound");
  if (!audio || button.parentElement !== byId("written")) return;
  const starts = wordsOnly() ? data.written.wordStarts : data.written.starts;
  audio.currentTime = starts[place];
  audio.play();
}

function setUpSound() {
  const audio = byId("sound");
  if (!audio) return;
  const show = () => { byId("now").style.left = `${(100 * audio.currentTime) / data.read.seconds}%`; };
  for (const event of ["timeupdate", "seeking"]) audio.addEventListener(event, show);
}

// ------------------------------------------------------------------------------ all at once

function drawTable(shares) {
  const table = byId("table");
  if (!table) return;
  const head = make("tr", {}, make("th"),
    ...readNames().map((name) => make("th", { scope: "col", dir: "auto" }, name)));
  const rows = shares.map((row, i) => make("tr", {},
    make("th", { scope: "row", dir: "auto" }, writtenNames()[i]),
    ...row.map((share) => {
      const [ground, ink] = shade(share);
      const cell = make("td", {}, share >= 5 ? String(Math.round(share / 10)) : "");
      cell.style.background = ground;
      cell.style.color = ink;
      cell.addEventListener("mouseenter", () => choose(i));
      return cell;
    })));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

// ------------------------------------------------------------------------------ saying and choosing

// A name that occurs more than once is followed by its place.
function told(names, place) {
  return names.indexOf(names[place]) === names.lastIndexOf(names[place])
    ? names[place] : `${names[place]} (${place + 1})`;
}

function say(shares) {
  const names = readNames();
  const name = writtenNames()[state.chosen];
  const best = shares.map((share, place) => [share, place]).filter(([share]) => share >= 5)
    .sort((one, two) => two[0] - one[0]).slice(0, 5);
  const list = best.map(([share, place]) => make("span", {},
    make("bdi", {}, data.read.kind === "frames" ? `${timeOf(place).toFixed(2)} s` : told(names, place)),
    ` ${percent(share)}`));
  const parts = list.flatMap((part, i) => (i ? [", ", part] : [part]));
  byId("said").replaceChildren(make("bdi", { className: "name" }, name || ""), " attended to ",
    ...(parts.length ? parts : ["nothing"]));
  byId("step").textContent = `step ${state.chosen + 1} of ${writtenNames().length}`;
}

function choose(place) {
  const all = merged();
  if (!all.length) return;
  state.chosen = Math.max(0, Math.min(all.length - 1, place));
  const shares = all[state.chosen];
  mark(byId("written"), state.chosen);
  fillBars(byId("written"), []);
  if (data.read.kind === "words") {
    mark(byId("read"), -1);
    fillBars(byId("read"), shares);
  } else if (data.read.kind === "cells") {
    drawSeen(shares, Math.max(...shares) >= 5 ? shares.indexOf(Math.max(...shares)) : -1);
  } else drawHeard(shares);
  const table = byId("table");
  if (table) [...table.tBodies[0].rows].forEach((row, i) => row.classList.toggle("chosen", i === state.chosen));
  say(shares);
}

// The other way round: which written words attended to this one?
function chooseRead(place) {
  state.back = place;
  if (data.read.kind === "cells") drawSeen(readNames().map((_, cell) => (cell === place ? 1 : 0)), place, 1);
  else {
    mark(byId("read"), place);
    fillBars(byId("read"), []);
  }
  mark(byId("written"), -1);
  const column = merged().map((row) => row[place]);
  fillBars(byId("written"), column);
  byId("said").replaceChildren(make("bdi", { className: "name" }, readNames()[place]),
    " was attended to by ",
    ...column.map((share, i) => [share, i]).filter(([share]) => share >= 5)
      .sort((one, two) => two[0] - one[0]).slice(0, 5)
      .flatMap(([share, i], n) => [n ? ", " : "", make("bdi", {}, told(writtenNames(), i)), ` ${percent(share)}`]));
}

function draw() {
  const names = readNames();
  fillRow(byId("written"), writtenNames(), () => false, choose);
  if (data.read.kind === "words") {
    const last = names.length - 1;
    fillRow(byId("read"), names, (place) => place === last, chooseRead);
  }
  if (byId("top")) byId("top").textContent = percent(topShare());
  drawTable(merged());
  choose(state.chosen);
}

function setUpControls() {
  const bind = (id, use) => byId(id).addEventListener("change", (event) => { use(event.target.value); draw(); });
  bind("layer", (value) => { state.layer = Number(value); });
  bind("head", (value) => { state.head = Number(value); });
  bind("unit", (value) => { state.unit = value; state.chosen = 0; });
  byId("before").addEventListener("click", () => choose(state.chosen - 1));
  byId("after").addEventListener("click", () => choose(state.chosen + 1));
}

listen(byId("written"));
if (data.read.kind === "words") listen(byId("read"));
if (data.read.kind === "cells") setUpCells();
setUpControls();
setUpSound();
draw();
