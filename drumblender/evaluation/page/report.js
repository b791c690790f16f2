"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("table");
  const bodies = [...table.tBodies];
  const find = (id) => document.getElementById(id);
  const numRuns = data.runs.length;
  const value = (item, column) => data.items[item].values[column % numRuns][Math.floor(column / numRuns)];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const make = (tag, text, settings = {}) => Object.assign(document.createElement(tag), { textContent: text }, settings);
  let column = -1;
  let ascending = true;
  let playing = null;

  // Sounds. One at a time is heard.
  function soundOf(sound) {
    const audio = new Audio(sound.src);
    audio.preload = "metadata";
    audio.addEventListener("play", () => {
      if (playing && playing !== audio) playing.pause();
      playing = audio;
      audio.volume = find("matched").checked ? Math.min(1, sound.gain) : 1;
    });
    return audio;
  }
  function start(audio) {
    audio.currentTime = 0;
    audio.play().catch((error) => { if (error.name !== "AbortError") throw error; }); // stopped before it began
  }
  find("matched").addEventListener("change", () => { if (playing) playing.pause(); });
  const titleOf = (sound) => sound.run === null ? "target"
    : (sound.kind === "pred" ? "prediction" : sound.kind) + (numRuns > 1 ? ` · ${data.runs[sound.run]}` : "");

  function player(item, sound) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = titleOf(sound);
    const button = make("button", "▶ play", { type: "button" });
    button.setAttribute("aria-label", `Play ${title} of ${item.name}`);
    caption.append(make("span", title), button);
    const picture = make("img", "", { src: sound.image, alt: `Spectrogram of ${title} of ${item.name}` });
    const wave = make("div", "", { className: "wave" });
    wave.setAttribute("aria-hidden", "true"); // the button does what it does
    figure.append(caption, picture, wave);
    const audio = soundOf(sound);
    button.addEventListener("click", () => {
      if (audio.paused) start(audio);
      else audio.pause();
    });
    audio.addEventListener("play", () => { button.textContent = "■ stop"; });
    for (const event of ["pause", "ended"]) audio.addEventListener(event, () => { button.textContent = "▶ play"; });
    const loudest = Math.max(0.001, ...item.sounds.flatMap((other) => other.peaks.map(Math.abs)));
    figure.draw = () => WaveSurfer.create({
      container: wave, media: audio, peaks: [sound.peaks], duration: sound.seconds, height: 44, normalize: false,
      barHeight: 1 / loudest, // all sounds of an item on one scale, that of its loudest
      waveColor: colour(sound.run === null ? "--c0" : `--c${(sound.run + 1) % 6}`), progressColor: colour("--quiet"),
      cursorColor: colour("--ink"),
    });
    return figure;
  }

  // What the voices were played with: numbers, lines or a picture over time.
  const drawing = "http://www.w3.org/2000/svg";
  const short = (number) => Number(number.toPrecision(4)).toString();
  function control(item, known) {
    const figure = document.createElement("figure");
    const title = known.name + (numRuns > 1 ? ` · ${data.runs[known.run]}` : "");
    const reach = `${short(known.low)} to ${short(known.high)}${known.log ? ", in ratios" : ""}`;
    const caption = document.createElement("figcaption");
    caption.append(make("span", title), make("small", known.values ? "held" : reach, { className: "quiet" }));
    figure.append(caption);
    if (known.values) figure.append(make("p", known.values.map(short).join(" · "), { className: "held" }));
    else if (known.image) {
      figure.append(make("img", "", { src: known.image, className: "played", loading: "lazy",
        alt: `${title} of ${item.name} over time: ${known.size} rows, from ${reach}` }));
    } else {
      const svg = document.createElementNS(drawing, "svg");
      for (const [name, text] of Object.entries({ viewBox: "-1 -2 102 104", preserveAspectRatio: "none", role: "img",
        "aria-label": `${title} of ${item.name} over time, from ${reach}` })) svg.setAttribute(name, text);
      known.lines.forEach((points, place) => {
        const line = document.createElementNS(drawing, "polyline");
        line.setAttribute("points", points);
        line.setAttribute("class", `curve c${place % 6}`);
        svg.append(line);
      });
      svg.classList.add("played");
      figure.append(svg);
    }
    return figure;
  }
  function controlsOf(item) {
    const details = document.createElement("details");
    details.append(make("summary", `Controls over time (${item.controls.length})`));
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      const grid = make("div", "", { className: "sounds" });
      grid.append(...item.controls.map((known) => control(item, known)));
      details.append(grid);
    });
    return details;
  }

  // Items open below their row; players are made only then.
  function toggle(body, open) {
    const button = body.querySelector("button.open");
    const wanted = open ?? button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(wanted));
    if (body.rows.length > 1) { body.rows[1].hidden = !wanted; return; }
    if (!wanted) return;
    const item = data.items[body.dataset.item];
    const cell = make("td", "", { className: "detail", colSpan: body.rows[0].cells.length });
    if (item.scaled_db < 0) {
      cell.append(make("p", `Played ${-item.scaled_db} dB softer, all alike: a sound of it is above full scale.`,
        { className: "quiet" }));
    }
    const sounds = make("div", "", { className: "sounds" });
    const figures = item.sounds.map((sound) => player(item, sound));
    sounds.append(...figures);
    cell.append(sounds);
    if (item.controls.length) cell.append(controlsOf(item));
    body.insertRow().append(cell);
    figures.forEach((figure) => figure.draw());
  }
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) toggle(button.closest("tbody"));
  });

  // Sorting. Items without a number come last.
  function ordered(by, up) {
    const sign = up ? 1 : -1;
    return [...bodies].sort((a, b) => {
      const [i, j] = [a.dataset.item, b.dataset.item].map(Number);
      if (by < 0) return sign * (i - j);
      const [x, y] = [value(i, by), value(j, by)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x - y) || i - j;
    });
  }
  function sort(by) {
    ascending = by === column ? !ascending : true;
    column = by;
    table.append(...ordered(by, ascending));
    for (const button of table.querySelectorAll("thead button")) {
      const here = Number(button.dataset.column) === by;
      if (here) button.parentElement.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else button.parentElement.removeAttribute("aria-sort");
    }
    find("sorted").textContent = `Sorted by ${nameOf(by)}, ${ascending ? "ascending" : "descending"}`;
    tellMetric();
  }
  const nameOf = (by) => by < 0 ? "name"
    : data.metrics[Math.floor(by / numRuns)] + (numRuns > 1 ? ` of ${data.runs[by % numRuns]}` : "");
  const judged = () => Math.max(column, 0);
  function tellMetric() { if (find("by")) find("by").textContent = `by ${nameOf(judged())}`; }
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(Number(button.dataset.column));
  });
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => {
      const known = ordered(judged(), true).filter((body) => value(Number(body.dataset.item), judged()) !== null);
      if (!known.length) return;
      const place = { best: 0, median: Math.floor((known.length - 1) / 2), worst: known.length - 1 }[button.dataset.open];
      known[place].hidden = false;
      toggle(known[place], true);
      known[place].querySelector("button.open").focus();
      known[place].scrollIntoView({ block: "center" });
    });
  }
  tellMetric();
  find("find").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const body of bodies) body.hidden = !data.items[body.dataset.item].name.toLowerCase().includes(wanted);
  });

  // Blind tests.
  const coin = () => crypto.getRandomValues(new Uint8Array(1))[0] & 1;
  const draw = (count) => Math.floor(crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32 * count);
  const pick = (item, run) => data.items[item].sounds.find((s) => run === null ? s.run === null : s.run === run && s.kind === "pred");
  // The chance of at least `right` of `count` tosses of a coin.
  function chance(right, count) {
    let term = 0.5 ** count, sum = 0;
    for (let k = 0; k <= count; k += 1) {
      if (k >= right) sum += term;
      term *= (count - k) / (k + 1);
    }
    return Math.min(1, sum);
  }
  let test = null;
  const tellKind = () => { if (find("blind-against")) find("blind-against").hidden = find("blind-kind").value !== "ab"; };
  find("blind-kind").addEventListener("change", tellKind);
  tellKind();
  find("blind-setup").addEventListener("submit", (event) => {
    event.preventDefault();
    const kind = find("blind-kind").value;
    const first = Number(find("blind-first").value);
    const second = kind === "ab" ? Number(find("blind-second").value) : null;
    const needed = kind === "ab" ? [null, first, second] : [null, first];
    const items = data.items.map((_, i) => i).filter((i) => needed.every((run) => pick(i, run)));
    const trials = Math.min(200, Math.max(1, Math.round(Number(find("blind-trials").value)) || 10));
    find("blind-save").hidden = true;
    find("blind-result").textContent = first === second ? "Choose two runs."
      : items.length ? "" : "No item has all the sounds of this test.";
    find("blind").hidden = Boolean(find("blind-result").textContent);
    if (find("blind").hidden) return;
    test = { kind, first, second, items, trials, answers: [], matched: find("matched").checked };
    ask();
  });
  function ask() {
    const item = test.items[draw(test.items.length)];
    const flip = coin();
    const [one, two] = test.kind === "abx" ? [null, test.first] : flip ? [test.second, test.first] : [test.first, test.second];
    test.now = { item, flip };
    const sounds = test.kind === "abx"
      ? { A: pick(item, null), B: pick(item, test.first), X: pick(item, flip ? test.first : null) }
      : { target: pick(item, null), A: pick(item, one), B: pick(item, two) };
    find("blind-question").textContent = `Trial ${test.answers.length + 1} of ${test.trials}: `
      + (test.kind === "abx" ? "is X the same as A or as B?" : "which is nearer to the target, A or B?");
    find("blind-play").replaceChildren(...Object.entries(sounds).map(([name, sound]) => {
      const audio = soundOf(sound);
      const button = make("button", `▶ ${name}`, { type: "button" });
      button.addEventListener("click", () => start(audio));
      return button;
    }));
    find("blind-answer").replaceChildren(...["A", "B"].map((letter) => {
      const button = make("button", test.kind === "abx" ? `X is ${letter}` : `${letter} is nearer`, { type: "button" });
      button.addEventListener("click", () => answer(letter));
      return button;
    }));
    find("blind-play").firstElementChild.focus();
  }
  function answer(letter) {
    if (playing) playing.pause();
    const { item, flip } = test.now;
    const hit = (letter === "B") === Boolean(flip); // ABX: right; A/B: the first run is preferred
    test.answers.push({ item: data.items[item].name, answer: letter, ...(test.kind === "abx"
      ? { x: flip ? "B" : "A", right: hit } : { preferred: data.runs[hit ? test.first : test.second] }) });
    test.hits = (test.hits ?? 0) + hit;
    if (test.answers.length < test.trials) { ask(); return; }
    const count = test.trials;
    const p = test.kind === "abx" ? chance(test.hits, count)
      : Math.min(1, 2 * chance(Math.max(test.hits, count - test.hits), count));
    test.result = { hits: test.hits, trials: count, p_value: p };
    find("blind").hidden = true;
    find("blind-result").textContent = (test.kind === "abx" ? `${test.hits} of ${count} right`
      : `${data.runs[test.first]} was nearer in ${test.hits} of ${count}`)
      + `; p = ${p.toPrecision(2)}: the chance of ${test.kind === "abx" ? "as many" : "a result as clear"} by guessing.`;
    find("blind-save").hidden = false;
    find("blind-save").focus();
  }
  find("blind-save").addEventListener("click", () => {
    const record = {
      test: test.kind, runs: data.runs, first: data.runs[test.first],
      ...(test.second === null ? {} : { second: data.runs[test.second] }),
      level_matched: test.matched, date: new Date().toISOString(), ...test.result, answers: test.answers,
    };
    const url = URL.createObjectURL(new Blob([JSON.stringify(record, null, 1)], { type: "application/json" }));
    const link = make("a", "", { href: url, download: `${test.kind}-${record.date.replace(/[:.]/g, "-")}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
})();
