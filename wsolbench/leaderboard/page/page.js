"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const curvesOf = new Map(Object.entries(data.curves)); // a link may name anything, even "constructor"
  const $ = (id) => document.getElementById(id);
  const panels = [...document.querySelectorAll(".panel")];
  const tabs = [...document.querySelectorAll(".tabs a")];
  const boards = [...document.querySelectorAll(".board")];
  const rows = new Map([...document.querySelectorAll(".board tbody tr")].map((row) => [row.dataset.id, row]));
  const filters = ["split", "protocol", "backbone", "find"];
  const MOST = 6; // curves in one picture, as many as there are colours
  const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 2", "1 2"];
  const order = new Map([...document.querySelectorAll(".board tbody")].map((body) => [body, [...body.rows]]));
  const START = peakOf(usualCurves()[0]);
  let tab = panels[0].dataset.tab;
  let threshold = START;
  let chosen = []; // ids of the rows whose curves are drawn, all of one table
  let sorted = null; // {table, column, direction}
  let picked = new Map(); // columns by key: whether the reader wants them

  // ------------------------------------------------------------------ tabs

  const panelOf = (key) => panels.find((panel) => panel.dataset.tab === key);
  const hasTables = (key) => Boolean(panelOf(key).querySelector(".board"));

  tabs[0].parentElement.setAttribute("role", "tablist");
  for (const link of tabs) {
    link.setAttribute("role", "tab");
    link.setAttribute("aria-controls", panelOf(link.dataset.tab).id);
    panelOf(link.dataset.tab).setAttribute("role", "tabpanel");
    panelOf(link.dataset.tab).setAttribute("aria-labelledby", link.id);
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the address holds the view
      turn(link.dataset.tab);
    });
    link.addEventListener("keydown", (event) => {
      const at = tabs.indexOf(link);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[(to + tabs.length) % tabs.length];
      next.focus();
      turn(next.dataset.tab);
    });
  }

  function open(key) {
    tab = key;
    for (const panel of panels) panel.hidden = panel.dataset.tab !== key;
    for (const link of tabs) {
      const here = link.dataset.tab === key;
      link.setAttribute("aria-selected", here);
      link.tabIndex = here ? 0 : -1;
    }
    for (const id of ["filters", "slider"]) if ($(id)) $(id).hidden = !hasTables(key);
  }

  // What a reader does: the way back leads to the tab before.
  function turn(key) {
    open(key);
    filter();
    arrange();
    draw();
    history.pushState(null, "", address());
  }

  // ------------------------------------------------------------------ filters

  const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

  function filter() {
    const wanted = Object.fromEntries(filters.map((name) => [name, $(name).value]));
    const words = folded(wanted.find).split(/\s+/).filter(Boolean);
    let [tables, entries, elsewhere] = [0, 0, 0];
    for (const board of boards) {
      const fits = ["split", "protocol"].every((key) => !wanted[key] || board.dataset[key] === wanted[key]);
      let shown = 0;
      for (const row of board.querySelectorAll("tbody tr")) {
        const text = folded(`${nameOf(row.dataset.id)} ${row.dataset.backbone}`);
        row.hidden = !(
          fits &&
          (!wanted.backbone || row.dataset.backbone === wanted.backbone) &&
          words.every((word) => text.includes(word))
        );
        shown += !row.hidden;
      }
      board.hidden = !shown;
      const here = board.closest(".panel").dataset.tab === tab;
      tables += here && shown > 0;
      entries += here && shown;
      elsewhere += !here && shown;
    }
    const filtered = filters.some((name) => wanted[name]);
    const more = filtered && elsewhere ? ` ${elsewhere} more in other tabs.` : "";
    const found = `${plural(entries, "entry", "entries")} in ${plural(tables, "table", "tables")}${more ? "." : ""}`;
    say(entries ? found + more : `No entry matches${more ? " here" : ""}.${more} Reset the filters to see all entries.`);
  }

  // Neither case nor accents matter to a reader who looks for a name.
  function folded(text) {
    return text.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase();
  }

  // ------------------------------------------------------------------ columns

  const isUsual = (head) => head.dataset.usual !== undefined;
  const isShown = (head) => picked.get(head.dataset.key) ?? (isUsual(head) || head === sortedHead());

  function arrange() {
    for (const board of boards) {
      for (const head of board.querySelectorAll("thead th[data-key]")) {
        const hidden = !isShown(head);
        if (head.hidden === hidden) continue;
        head.hidden = hidden;
        for (const row of order.get(board.querySelector("tbody"))) row.cells[head.cellIndex].hidden = hidden;
      }
    }
    offer();
    edges();
  }

  // The columns of the open tab, in their order, but for the names of the rows.
  function offer() {
    const titles = new Map();
    const shown = new Set();
    for (const head of panelOf(tab).querySelectorAll("thead th[data-key]")) {
      const key = head.dataset.key;
      if (key === "method") continue;
      if (!titles.has(key)) titles.set(key, (head.querySelector("button") ?? head).textContent);
      if (isShown(head)) shown.add(key);
    }
    const choices = [...titles].map(([key, title]) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.dataset.key = key;
      box.checked = shown.has(key);
      label.append(box, title);
      return label;
    });
    const holder = $("picker").querySelector(".choices");
    const focused = holder.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = shown.size < titles.size ? "Show all" : "Show the usual ones";
    all.addEventListener("click", () => {
      picked = new Map(shown.size < titles.size ? [...titles.keys()].map((key) => [key, true]) : []);
      arrange();
      save();
      holder.querySelector("button").focus();
    });
    holder.replaceChildren(...choices, all);
    if (focused) holder.querySelector(`input[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  $("picker").addEventListener("change", (event) => {
    picked.set(event.target.dataset.key, event.target.checked);
    arrange();
    save();
  });
  $("picker").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    $("picker").open = false;
    $("picker").querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (event.target.isConnected && !$("picker").contains(event.target)) $("picker").open = false;
  });

  // Where a table goes on beyond its frame, a shadow and a line of text say so.
  function edges() {
    for (const board of boards) {
      const scroll = board.querySelector(".scroll");
      const room = scroll.scrollWidth - scroll.clientWidth;
      board.querySelector(".sideways").hidden = room <= 1;
      scroll.parentElement.classList.toggle("left", scroll.scrollLeft > 1);
      scroll.parentElement.classList.toggle("right", scroll.scrollLeft < room - 1);
    }
  }

  for (const scroll of document.querySelectorAll(".scroll")) scroll.addEventListener("scroll", edges);

  function say(text) {
    $("status").textContent = text;
  }

  // ------------------------------------------------------------------ sorting

  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    const notes = head.querySelector(".notes");
    button.append(...[...head.childNodes].filter((node) => node !== notes));
    head.prepend(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const [table, column] = [head.closest("table").id, head.dataset.key];
      const same = sorted && sorted.table === table && sorted.column === column;
      const first = head.dataset.sort === "number" && column !== "rank" ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      sorted = { table, column, direction: same && sorted.direction === first ? other : first };
      sort();
      arrange();
      save();
    });
  }

  // One table at most is sorted by its reader; the others stand as they came.
  function sort() {
    for (const head of document.querySelectorAll("th[aria-sort]:not([aria-sort='none'])")) {
      head.setAttribute("aria-sort", "none");
      const body = head.closest("table").tBodies[0];
      body.append(...order.get(body));
    }
    const head = sortedHead();
    if (!head) return;
    head.setAttribute("aria-sort", sorted.direction);
    const sign = sorted.direction === "ascending" ? 1 : -1;
    const at = head.cellIndex;
    const value = (row) => {
      const cell = row.cells[at];
      if (head.dataset.sort === "text") return (cell.querySelector("bdi") ?? cell).textContent.trim();
      return cell.dataset.value === undefined || cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null); // what has no score is last
      return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    };
    const body = head.closest("table").tBodies[0];
    body.append(...[...order.get(body)].sort(compare));
  }

  function sortedHead() {
    const heads = document.querySelectorAll("th[data-sort]");
    return [...heads].find((h) => sorted && h.closest("table").id === sorted.table && h.dataset.key === sorted.column);
  }

  // ------------------------------------------------------------------ threshold

  function follow() {
    if ($("threshold")) {
      $("threshold").value = threshold;
      $("level").textContent = threshold;
    }
    for (const [id, curves] of curvesOf) {
      for (const cell of rows.get(id).querySelectorAll("td.followed")) {
        const curve = curves[cell.dataset.curve];
        cell.dataset.value = curve ? curve[threshold] : "";
        cell.textContent = curve ? percent(curve[threshold]) : "-";
      }
    }
    if (sortedHead()?.dataset.curve) sort();
    draw();
    paint();
  }

  const percent = (units) => (units / 100).toFixed(2);

  // ------------------------------------------------------------------ curves

  function choose(id, on) {
    const table = rows.get(id).closest("table");
    const before = chosen.length;
    chosen = chosen.filter((other) => other !== id && rows.get(other).closest("table") === table);
    if (on) chosen.push(id);
    if (on && chosen.length > MOST) {
      chosen.pop();
      say(`At most ${MOST} methods can be drawn together: deselect one first.`);
    } else if (on && chosen.length <= before && before) {
      say("The methods of the other table were deselected: numbers of different tables are never compared.");
    }
    tick();
    draw();
  }

  function tick() {
    for (const box of document.querySelectorAll("input.draw")) {
      box.checked = chosen.includes(box.closest("tr").dataset.id);
    }
  }

  const nameOf = (id) => rows.get(id).querySelector(".name bdi").textContent;
  const backboneOf = (id) => rows.get(id).dataset.backbone;

  function draw() {
    if (!$("curves")) return;
    const place = chosen.length ? rows.get(chosen[0]) : null;
    $("curves").hidden = !hasTables(tab) || Boolean(place && (place.closest(".board").hidden || place.closest(".panel").hidden));
    if ($("curves").hidden) return; // a hidden figure has no width to draw for
    const lines = chosen.map((id, place) => ({
      ...curvesOf.get(id),
      name: `${nameOf(id)}, ${backboneOf(id)}`,
      colour: `var(--curve-${place})`,
      dash: DASHES[place],
    }));
    const board = chosen.length && rows.get(chosen[0]).closest(".board").dataset;
    legend(lines, board);
    const level = (curve) => curve.map((units, t) => ({ x: t, y: units / 100 }));
    const at = { x: threshold, vertical: true };
    chart($("chart-iou"), "IoU against threshold", "Threshold", "IoU, %", 255, lines, (l) => l.iou && level(l.iou), at);
    const pr = (l) => l.precision && l.precision.map((p, t) => ({ x: l.recall[t] / 100, y: p / 100 }));
    chart($("chart-pr"), "Precision and recall", "Recall, %", "Precision, %", 100, lines, pr, {});
    const box = (l) => l.gt_known_loc || l.predicted_loc;
    chart($("chart-box"), "Box accuracy against threshold", "Threshold", "Box accuracy, %", 255, lines, (l) => box(l) && level(box(l)), at);
  }

  function chart(figure, title, xLabel, yLabel, right, lines, points, at) {
    const drawn = lines.map((line) => ({ ...line, points: points(line) })).filter((line) => line.points);
    figure.hidden = lines.length > 0 && !drawn.length; // boxes alone have no curve of pixels
    if (figure.hidden) return;
    const width = Math.max(260, Math.round(figure.clientWidth));
    const marks = [Plot.ruleX([0], { strokeOpacity: 0.4 }), Plot.ruleY([0], { strokeOpacity: 0.4 })];
    if (at.vertical) marks.push(Plot.ruleX([at.x], { strokeDasharray: "3 3", strokeOpacity: 0.7 }));
    for (const line of drawn) {
      marks.push(
        Plot.line(line.points, { x: "x", y: "y", stroke: line.colour, strokeWidth: 2, strokeDasharray: line.dash }),
        Plot.dot([line.points[threshold]], { x: "x", y: "y", fill: line.colour, r: 4.5 })
      );
    }
    const text = drawn.map((l) => `${l.name}: ${l.points[threshold].y.toFixed(2)}`).join("; ");
    const svg = Plot.plot({
      width,
      height: Math.round(Math.min(260, width * 0.7)),
      marginLeft: 44,
      marginBottom: 38,
      marginRight: 16,
      ariaLabel: `${title}. At threshold ${threshold}: ${text || "no method selected"}.`,
      x: { domain: [0, right], label: xLabel, ticks: 5 },
      y: { domain: [0, 100], label: yLabel, ticks: 5, grid: true },
      marks,
    });
    svg.setAttribute("role", "img");
    for (const style of svg.querySelectorAll("style")) style.remove(); // page.css holds it: the policy allows no other
    for (const group of svg.querySelectorAll("[aria-label]")) group.removeAttribute("aria-label"); // the picture has one
    const heading = document.createElement("h3");
    heading.textContent = title;
    figure.replaceChildren(heading, svg);
  }

  function legend(lines, board) {
    const items = lines.map((line) => {
      const item = document.createElement("span");
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 44 16");
      svg.setAttribute("aria-hidden", "true");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
      stroke.setAttribute("d", "M0 8H44");
      stroke.setAttribute("fill", "none");
      stroke.setAttribute("stroke", line.colour);
      stroke.setAttribute("stroke-width", "4");
      stroke.setAttribute("stroke-dasharray", line.dash);
      svg.append(stroke);
      const name = document.createElement("bdi");
      name.textContent = line.name;
      item.append(svg, name);
      return item;
    });
    const head = document.createElement("b");
    head.textContent = board ? `${board.dataset}, ${board.split}, ${board.protocol}` : "No method selected.";
    $("legend").replaceChildren(head, ...items);
  }

  // ------------------------------------------------------------------ gallery

  const scenes = [];

  function bytes(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  // Neighbours and weights of each target pixel: half-pixel centres, edges clamped, in float32.
  function taps(source, target) {
    const left = new Int32Array(target);
    const weight = new Float32Array(target);
    for (let place = 0; place < target; place++) {
      const position = Math.min(Math.max((place + 0.5) * (source / target) - 0.5, 0), source - 1);
      left[place] = Math.floor(position);
      weight[place] = position - left[place];
    }
    return { left, weight };
  }

  // The levels that were scored: rows first, then columns, each near + w (far - near) in float32.
  function levelMap(map, height, width) {
    const values = bytes(map.values);
    const f = Math.fround;
    const across = taps(map.width, width);
    const down = taps(map.height, height);
    const wide = new Float32Array(map.height * width);
    for (let y = 0; y < map.height; y++) {
      for (let x = 0; x < width; x++) {
        const near = values[y * map.width + across.left[x]];
        const far = values[y * map.width + Math.min(across.left[x] + 1, map.width - 1)];
        wide[y * width + x] = f(near + f(across.weight[x] * f(far - near)));
      }
    }
    const levels = new Uint8Array(height * width);
    for (let y = 0; y < height; y++) {
      const upper = down.left[y] * width;
      const lower = Math.min(down.left[y] + 1, map.height - 1) * width;
      for (let x = 0; x < width; x++) {
        const value = f(wide[upper + x] + f(down.weight[y] * f(wide[lower + x] - wide[upper + x])));
        levels[y * width + x] = Math.min(Math.max(value, 0), 255);
      }
    }
    return levels;
  }

  function maskOf(scene) {
    const mask = new Uint8Array(scene.height * scene.width);
    let at = 0;
    scene.mask.forEach((run, place) => {
      if (place % 2) mask.fill(1, at, at + run);
      at += run;
    });
    return mask;
  }

  async function openGallery() {
    if (!data.gallery) return;
    const holder = document.querySelector(".scenes");
    for (const scene of data.gallery.scenes) {
      const photo = new Image();
      photo.src = `data:image/jpeg;base64,${scene.photo}`;
      await photo.decode();
      const article = document.createElement("div");
      article.className = "scene";
      const figures = scene.maps.map(() => {
        const figure = document.createElement("figure");
        const canvas = document.createElement("canvas");
        canvas.width = scene.width;
        canvas.height = scene.height;
        canvas.setAttribute("role", "img");
        figure.append(canvas, document.createElement("figcaption"));
        return figure;
      });
      article.append(...figures);
      holder.append(article);
      const mask = maskOf(scene);
      scenes.push({
        ...scene,
        figures,
        photo: pixelsOf(photo, scene),
        edge: edgeOf(mask, scene),
        levels: scene.maps.map((map) => levelMap(map, scene.height, scene.width)),
      });
      paint(scenes.slice(-1));
    }
  }

  function pixelsOf(photo, { height, width }) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    context.drawImage(photo, 0, 0);
    return context.getImageData(0, 0, width, height);
  }

  // Pixels of the mask with a 4-neighbour off it: its outline.
  function edgeOf(mask, { height, width }) {
    const on = (y, x) => y >= 0 && x >= 0 && y < height && x < width && mask[y * width + x];
    return mask.map((value, at) => {
      const [y, x] = [Math.floor(at / width), at % width];
      return value && !(on(y - 1, x) && on(y + 1, x) && on(y, x - 1) && on(y, x + 1)) ? 1 : 0;
    });
  }

  function paint(some = scenes) {
    for (const scene of some) {
      scene.maps.forEach((map, place) => {
        const [canvas, caption] = scene.figures[place].children;
        const context = canvas.getContext("2d");
        const shown = new ImageData(new Uint8ClampedArray(scene.photo.data), scene.width, scene.height);
        const levels = scene.levels[place];
        for (let at = 0; at < levels.length; at++) {
          const pixel = 4 * at;
          const grey = (shown.data[pixel] + shown.data[pixel + 1] + shown.data[pixel + 2]) / 12;
          if (scene.edge[at]) shown.data.fill(255, pixel, pixel + 3);
          else if (levels[at] < threshold) shown.data.fill(grey, pixel, pixel + 3);
        }
        context.putImageData(shown, 0, 0);
        for (const box of scene.boxes) frame(context, box, "#ff5c5c", [6, 4]);
        const predicted = map.boxes.filter((row) => row[0] <= threshold).pop().slice(1);
        if (predicted[2] > predicted[0]) frame(context, predicted, "#3ddc6b", []);
        caption.textContent = `${data.gallery.methods[place]}: IoU ${percent(map.iou[threshold])} %`;
        canvas.setAttribute("aria-label", `${scene.image_id}, foreground at threshold ${threshold}. ${caption.textContent}`);
      });
    }
  }

  function frame(context, [x0, y0, x1, y1], colour, dash) {
    context.setLineDash(dash);
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.strokeRect(x0 + 1, y0 + 1, x1 - x0 - 2, y1 - y0 - 2);
  }

  // ------------------------------------------------------------------ copying

  for (const button of document.querySelectorAll("button.cite")) {
    button.addEventListener("click", () => {
      const id = button.closest("tr").dataset.id;
      for (const [form, text] of Object.entries(data.copies[id])) $(`copy-${form}`).value = text;
      $("copies-title").textContent = `Copy the row of ${nameOf(id)}`;
      $("copied").textContent = "";
      $("copies").showModal();
    });
  }
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const field = $(`copy-${button.dataset.form}`);
      field.select();
      $("copied").textContent = (await copy(field.value)) ? "Copied." : "Press Ctrl+C: the text is selected.";
    });
  }
  $("close").addEventListener("click", () => $("copies").close());

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false; // no permission, or no clipboard: the caller says how to go on
    }
  }

  // ------------------------------------------------------------------ links to a view

  function address() {
    const view = new URLSearchParams();
    if (tab !== panels[0].dataset.tab) view.set("tab", tab);
    for (const name of filters) if ($(name).value) view.set(name, $(name).value);
    if (sorted) view.set("sort", `${sorted.table}.${sorted.column}.${sorted.direction}`);
    if (threshold !== START) view.set("t", threshold);
    if (chosen.join() !== usualCurves().join()) view.set("draw", chosen.join("~"));
    for (const [name, wanted] of [["show", true], ["hide", false]]) {
      const keys = [...picked].filter(([, shown]) => shown === wanted).map(([key]) => key);
      if (keys.length) view.set(name, keys.join("~"));
    }
    return view.size ? `#${view}` : location.pathname + location.search;
  }

  function save() {
    history.replaceState(null, "", address());
  }

  function restore() {
    const view = new URLSearchParams(location.hash.slice(1));
    for (const name of filters) {
      $(name).value = view.get(name) ?? "";
      if ($(name).selectedIndex === -1) $(name).value = "";
    }
    const level = Number(view.get("t") || START);
    threshold = Number.isInteger(level) && level >= 0 && level <= 255 ? level : START;
    const [table, column, direction] = (view.get("sort") ?? "").split(".");
    sorted = ["ascending", "descending"].includes(direction) ? { table, column, direction } : null;
    const named = (view.get("draw") ?? "").split("~").filter((id) => curvesOf.has(id));
    const known = named.length || view.get("draw") === "" ? [...new Set(named)].slice(0, MOST) : usualCurves();
    const home = known.length && rows.get(known[0]).closest("table");
    chosen = known.filter((id) => rows.get(id).closest("table") === home);
    const keys = new Set([...document.querySelectorAll("thead th[data-key]")].map((head) => head.dataset.key));
    const columns = (name) => (view.get(name) ?? "").split("~").filter((key) => keys.has(key));
    picked = new Map([...columns("show").map((key) => [key, true]), ...columns("hide").map((key) => [key, false])]);
    tick();
    filter();
    open(tabOf(view, named.length > 0));
    filter(); // counts what the tab shows
    arrange();
    sort();
    follow();
  }

  // The tab that a link names. Links from before there were tabs name a data set, or what it shows.
  function tabOf(view, draws) {
    const named = tabs.find((link) => link.dataset.tab === view.get("tab"));
    if (named) return named.dataset.tab;
    const board =
      boards.find((one) => one.dataset.dataset === view.get("dataset")) ??
      sortedHead()?.closest(".board") ??
      (draws ? rows.get(chosen[0]).closest(".board") : undefined) ??
      (filters.some((name) => $(name).value) ? boards.find((one) => !one.hidden) : undefined);
    return (board?.closest(".panel") ?? panels[0]).dataset.tab;
  }

  // A place that a link names: its tab is opened, and filters that hide it are cleared.
  function reveal(target) {
    const panel = target.closest(".panel");
    if (panel) open(panel.dataset.tab);
    if (target.closest(".board")?.hidden) for (const name of filters) $(name).value = "";
    filter();
    arrange();
    draw();
  }

  function arrive() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return false;
    reveal(target);
    target.scrollIntoView();
    return true;
  }

  // The best of the first table that has curves, of pixels if any, and the same without post-processing.
  function usualCurves() {
    const boxes = [...document.querySelectorAll("input.draw")];
    const first = boxes.find((box) => curvesOf.get(box.closest("tr").dataset.id)?.iou) ?? boxes[0];
    if (!first) return [];
    const ids = [...first.closest("tbody").rows].map((row) => row.dataset.id).filter((id) => curvesOf.has(id));
    return [ids[0], data.bases[ids[0]]].filter((id) => curvesOf.has(id));
  }

  // The slider's first place: the stated Peak-T, since the curves here are rounded.
  function peakOf(id) {
    return data.peaks[id] ?? 128;
  }

  for (const name of filters) {
    $(name).addEventListener("input", () => {
      filter();
      edges();
      draw(); // its place may have gone or come back
      save();
    });
  }
  $("reset").addEventListener("click", () => {
    for (const name of filters) $(name).value = "";
    sorted = null;
    picked = new Map();
    filter();
    sort();
    arrange();
    draw();
    save();
  });
  $("share").addEventListener("click", async () => {
    save();
    say((await copy(location.href)) ? "Link copied to the clipboard." : "Copy the link to this view from the address bar.");
  });
  for (const box of document.querySelectorAll("input.draw")) {
    box.addEventListener("change", () => {
      choose(box.closest("tr").dataset.id, box.checked);
      save();
    });
  }
  for (const link of document.querySelectorAll(".notes a, .floor a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the address holds the view
      const target = document.getElementById(link.getAttribute("href").slice(1));
      reveal(target);
      target.tabIndex = -1;
      target.scrollIntoView({ block: "center" });
      target.focus();
      save();
    });
  }
  let waiting = 0;
  $("threshold")?.addEventListener("input", () => {
    threshold = Number($("threshold").value);
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(follow);
  });
  $("threshold")?.addEventListener("change", save); // once a drag: browsers limit it
  $("theme").addEventListener("input", () => {
    const theme = $("theme").value;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    try {
      localStorage.setItem("wsolbench-theme", theme);
    } catch {
      // storage is off: the choice holds for this visit
    }
  });
  try {
    $("theme").value = localStorage.getItem("wsolbench-theme") ?? "";
  } catch {
    $("theme").value = "";
  }
  if ($("theme").value) document.documentElement.dataset.theme = $("theme").value;
  addEventListener("hashchange", () => {
    if (!arrive()) restore();
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    edges();
    draw();
  });
  restore();
  arrive();
  openGallery();
})();
