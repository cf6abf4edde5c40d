"use strict";
// Curves of chosen methods. Each line has a colour, a dash and a symbol of its own, so that it can be
// told from the others without seeing colours, and in print.
const Charts = (() => {
  const DASHES = ["", "9 4", "2 3", "9 3 2 3", "16 4", "9 3 2 3 2 3"];
  const SYMBOLS = ["circle", "square", "triangle", "diamond", "cross", "star"];
  const SHAPES = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolStar];
  const BETWEEN = 48; // levels between two symbols of a line

  const colour = (place) => `var(--curve-${place})`;

  // lines: {name, iou, precision, recall, gt_known_loc, predicted_loc}, in units of 1/10000.
  function draw(lines, threshold) {
    const level = (curve) => curve.map((units, t) => ({ x: t, y: units / 100 }));
    const box = (line) => line.gt_known_loc || line.predicted_loc;
    const pr = (line) => {
      if (!line.precision) return undefined;
      const points = line.precision.map((p, t) => ({ x: line.recall[t] / 100, y: p / 100 }));
      // A foreground that no threshold changes is one point; else AP counts what is above the last one too.
      const one = line.recall.every((share) => share === line.recall[0]);
      return one ? points : [...points, { x: 0, y: points.at(-1).y }];
    };
    chart("chart-iou", "IoU against threshold", "Threshold", "IoU, %", 255, lines, (l) => l.iou && level(l.iou), threshold, true);
    chart("chart-pr", "Precision and recall", "Recall, %", "Precision, %", 100, lines, pr, threshold, false);
    chart("chart-box", "Box accuracy against threshold", "Threshold", "Box accuracy, %", 255, lines, (l) => box(l) && level(box(l)), threshold, true);
  }

  function chart(id, title, xLabel, yLabel, right, lines, points, threshold, vertical) {
    const figure = document.getElementById(id);
    const drawn = lines.map((line, place) => ({ name: line.name, place, points: points(line) })).filter((line) => line.points);
    figure.hidden = lines.length > 0 && !drawn.length; // boxes alone have no curve of pixels
    if (figure.hidden) return;
    const width = Math.max(240, Math.round(figure.clientWidth));
    const marks = [Plot.ruleX([0], { strokeOpacity: 0.4 }), Plot.ruleY([0], { strokeOpacity: 0.4 })];
    if (vertical) marks.push(Plot.ruleX([threshold], { strokeDasharray: "3 3", strokeOpacity: 0.7 }));
    for (const { place, points } of drawn) {
      const dot = { x: "x", y: "y", fill: colour(place), symbol: SYMBOLS[place] };
      const some = points.filter((_, t) => t <= 255 && t % BETWEEN === (8 * place) % BETWEEN);
      const curve = vertical ? "linear" : "step-after"; // the steps whose area is AP
      marks.push(
        Plot.line(points, { x: "x", y: "y", curve, stroke: colour(place), strokeWidth: 2, strokeDasharray: DASHES[place] }),
        Plot.dot(some, { ...dot, r: 3 }),
        Plot.dot([points[threshold]], { ...dot, r: 6, stroke: "var(--ground)", strokeWidth: 1.5 })
      );
    }
    const text = drawn.map((line) => `${line.name}: ${line.points[threshold].y.toFixed(2)}`).join("; ");
    const svg = Plot.plot({
      width,
      height: Math.round(Math.min(220, Math.max(150, width * 0.42))), // three fit a screen
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

  // The line of the n-th method, as the legend shows it.
  function sample(place) {
    const make = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const svg = make("svg", { viewBox: "0 0 44 16", "aria-hidden": "true" });
    svg.append(
      make("path", { d: "M0 8H44", fill: "none", stroke: colour(place), "stroke-width": 3, "stroke-dasharray": DASHES[place] }),
      make("path", { d: d3.symbol(SHAPES[place], 70)(), fill: colour(place), transform: "translate(22 8)" })
    );
    return svg;
  }

  return { MOST: SYMBOLS.length, draw, sample };
})();
