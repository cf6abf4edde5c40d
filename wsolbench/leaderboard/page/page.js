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
  const order = new Map([...document.querySelectorAll(".board tbody")].map((body) => [body, [...body.rows]]));
  const choices = new Map(); // ids of the rows whose curves the reader wants, by tab
  const usual = new Map(); // those that a tab draws before
  let tab = panels[0].dataset.tab;
  let moved = null; // where the reader put the slider
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
    document.body.dataset.tab = key;
    const curves = Boolean(panelOf(key).querySelector("input.draw"));
    $("desk").hidden = !hasTables(key);
    $("desk").classList.toggle("side", curves);
    for (const id of ["curves-button", "curves"]) if ($(id)) $(id).hidden = !curves;
    if ($("slider")) $("slider").hidden = !curves && !panelOf(key).querySelector("#gallery");
  }

  // What a reader does: the way back leads to the tab before.
  function turn(key) {
    open(key);
    filter();
    arrange();
    follow();
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
    const hiding = filters.filter((name) => name !== "find" && wanted[name]).length;
    $("filters-button").textContent = hiding ? `Filters (${hiding})` : "Filters";
    const more = filtered && elsewhere ? ` ${elsewhere} more in other tabs.` : "";
    const found = `${plural(entries, "entry", "entries")} in ${plural(tables, "table", "tables")}${more ? "." : ""}`;
    const named = filters.filter((name) => wanted[name]).map((name) => `${name} ${wanted[name]}`);
    $("filtered").textContent = filtered ? `Filtered by ${named.join(", ")}: ${found}` : "";
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
    const labels = [...titles].map(([key, title]) => {
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
    holder.replaceChildren(...labels, all);
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

  // Until the reader moves it, the slider is at the Peak-T of the first method drawn, as stated: the
  // curves here are rounded. Boxes alone have no Peak-T, so it is where their score was read.
  function threshold() {
    const first = chosen()[0];
    return moved ?? data.peaks[first] ?? data.box_levels[first] ?? 128;
  }

  let followed = null; // the threshold that columns and maps show

  function follow() {
    tick();
    const level = threshold();
    if (level !== followed) {
      followed = level;
      if ($("threshold")) {
        $("threshold").value = level;
        $("level").textContent = level;
      }
      for (const [id, curves] of curvesOf) {
        for (const cell of rows.get(id).querySelectorAll("td.followed")) {
          const curve = curves[cell.dataset.curve];
          cell.dataset.value = curve ? curve[level] : "";
          cell.textContent = curve ? percent(curve[level]) : "-";
        }
      }
      if (sortedHead()?.dataset.curve) sort();
      Gallery.paint(level);
    }
    draw();
  }

  const percent = (units) => (units / 100).toFixed(2);

  // ------------------------------------------------------------------ chosen methods

  // The ids of the open tab whose curves are drawn, all of one table.
  const chosen = () => choices.get(tab) ?? usualCurves(tab);

  function choose(id, on) {
    const table = rows.get(id).closest("table");
    const others = chosen().filter((other) => other !== id);
    const kept = others.filter((other) => rows.get(other).closest("table") === table);
    if (on && kept.length >= Charts.MOST) {
      say(`At most ${Charts.MOST} methods can be drawn together: deselect one first.`);
    } else {
      choices.set(tab, on ? [...kept, id] : kept);
      if (on && kept.length < others.length) {
        say("The methods of the other table were deselected: numbers of different tables are never compared.");
      }
    }
    follow();
  }

  function tick() {
    const ids = chosen();
    for (const box of panelOf(tab).querySelectorAll("input.draw")) {
      box.checked = ids.includes(box.closest("tr").dataset.id);
    }
  }

  // The best of a tab's first table that has curves, of pixels if any, and the same without post-processing.
  function usualCurves(key) {
    if (!usual.has(key)) {
      const boxes = [...panelOf(key).querySelectorAll("input.draw")];
      const first = boxes.find((box) => curvesOf.get(box.closest("tr").dataset.id)?.iou) ?? boxes[0];
      const ids = first ? order.get(first.closest("tbody")).map((row) => row.dataset.id) : [];
      const best = ids.find((id) => curvesOf.has(id));
      usual.set(key, [best, data.bases[best]].filter((id) => curvesOf.has(id)));
    }
    return usual.get(key);
  }

  const nameOf = (id) => rows.get(id).querySelector(".name bdi").textContent;
  const backboneOf = (id) => rows.get(id).dataset.backbone;

  function draw() {
    if (!$("curves")) return;
    const lines = chosen().map((id) => ({ id, ...curvesOf.get(id), name: `${nameOf(id)}, ${backboneOf(id)}` }));
    $("curves-button").textContent = `Curves (${lines.length})`;
    if (!$("curves").getClientRects().length) return; // folded: a hidden figure has no width to draw for
    legend(lines);
    Charts.draw(lines, threshold());
  }

  function legend(lines) {
    const list = document.createElement("ul");
    for (const [place, line] of lines.entries()) {
      const item = document.createElement("li");
      const name = document.createElement("bdi");
      name.textContent = line.name;
      const score = document.createElement("span");
      const curve = line.iou ?? line.gt_known_loc ?? line.predicted_loc;
      if (curve) score.textContent = `${line.iou ? "IoU" : "box accuracy"} ${percent(curve[threshold()])} %`;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Deselect ${line.name}`);
      remove.addEventListener("click", () => {
        choose(line.id, false);
        save();
        ($("legend").querySelectorAll("button")[place] ?? $("legend")).focus();
      });
      item.append(Charts.sample(place), name, score, remove);
      list.append(item);
    }
    const head = document.createElement("b");
    const board = lines.length && rows.get(lines[0].id).closest(".board").dataset;
    head.textContent = board ? `${board.dataset}, ${board.split}, ${board.protocol}` : "No method selected.";
    $("legend").replaceChildren(head, ...(lines.length ? [list] : []));
  }

  // ------------------------------------------------------------------ copying

  for (const button of document.querySelectorAll("button.cite")) {
    button.addEventListener("click", () => {
      const id = button.closest("tr").dataset.id;
      const forms = { ...data.copies[id], BibTeX: data.citations[data.cited[id]] };
      for (const [form, text] of Object.entries(forms)) $(`copy-${form}`).value = text;
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

  // ------------------------------------------------------------------ files and paper

  // The rows that are shown, in their order, with every column.
  for (const button of document.querySelectorAll("button.csv")) {
    button.addEventListener("click", () => {
      const table = button.closest(".board").querySelector("table");
      const ids = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.dataset.id);
      const lines = [table.id, ...ids].map((id) => data.csv[id]);
      const file = new Blob([`${lines.join("\n")}\n`], { type: "text/csv" });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `${table.id.replace(/^table-/, "")}.csv`;
      link.click();
      URL.revokeObjectURL(link.href);
      say(`${plural(ids.length, "row", "rows")} saved as ${link.download}.`);
    });
  }

  $("print").addEventListener("click", () => print());
  let opened = false; // whether paper opened the curves
  addEventListener("beforeprint", () => {
    opened ||= !$("tray").classList.contains("open");
    openCurves(true);
  });
  addEventListener("afterprint", () => {
    if (opened) openCurves(false);
    opened = false;
  });

  function openCurves(wide) {
    if (!$("curves-button")) return;
    $("tray").classList.toggle("open", wide);
    $("curves-button").setAttribute("aria-expanded", wide);
    draw();
  }

  // ------------------------------------------------------------------ links to a view

  function address() {
    const view = new URLSearchParams();
    if (tab !== panels[0].dataset.tab) view.set("tab", tab);
    for (const name of filters) if ($(name).value) view.set(name, $(name).value);
    if (sorted) view.set("sort", `${sorted.table}.${sorted.column}.${sorted.direction}`);
    if (moved !== null) view.set("t", moved);
    if (choices.has(tab)) view.set("draw", choices.get(tab).join("~"));
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
    const level = Number(view.get("t") || NaN);
    moved = Number.isInteger(level) && level >= 0 && level <= 255 ? level : null;
    const [table, column, direction] = (view.get("sort") ?? "").split(".");
    sorted = ["ascending", "descending"].includes(direction) ? { table, column, direction } : null;
    const named = (view.get("draw") ?? "").split("~").filter((id) => curvesOf.has(id));
    const home = named.length ? rows.get(named[0]).closest("table") : null;
    const drawn = [...new Set(named)].filter((id) => rows.get(id).closest("table") === home).slice(0, Charts.MOST);
    choices.clear();
    const keys = new Set([...document.querySelectorAll("thead th[data-key]")].map((head) => head.dataset.key));
    const columns = (name) => (view.get(name) ?? "").split("~").filter((key) => keys.has(key));
    picked = new Map([...columns("show").map((key) => [key, true]), ...columns("hide").map((key) => [key, false])]);
    filter();
    open(tabOf(view, home));
    if (home) choices.set(home.closest(".panel").dataset.tab, drawn);
    else if (view.get("draw") === "") choices.set(tab, []);
    filter(); // counts what the tab shows
    arrange();
    sort();
    follow();
  }

  // The tab that a link names. Links from before there were tabs name a data set, or what it shows.
  function tabOf(view, home) {
    const named = tabs.find((link) => link.dataset.tab === view.get("tab"));
    if (named) return named.dataset.tab;
    const board =
      boards.find((one) => one.dataset.dataset === view.get("dataset")) ??
      sortedHead()?.closest(".board") ??
      home?.closest(".board") ??
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
    follow();
  }

  function arrive() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return false;
    reveal(target);
    target.scrollIntoView();
    return true;
  }

  for (const name of filters) {
    $(name).addEventListener("input", () => {
      filter();
      edges();
      save();
    });
  }
  $("reset").addEventListener("click", () => {
    for (const name of filters) $(name).value = "";
    sorted = null;
    picked = new Map();
    moved = null;
    choices.clear();
    filter();
    sort();
    arrange();
    follow();
    save();
  });
  $("curves-button")?.addEventListener("click", () => openCurves(!$("tray").classList.contains("open")));
  $("filters-button").addEventListener("click", () => {
    $("filters-button").setAttribute("aria-expanded", $("filters").classList.toggle("open"));
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
    moved = Number($("threshold").value);
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
  if (data.gallery) Gallery.open(data.gallery, threshold);
})();
