"use strict";
// The maps of a gallery on canvases: the foreground at a threshold, the mask's line, the boxes.
const Gallery = (() => {
  const scenes = [];
  let methods = [];

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

  async function open(gallery, threshold) {
    methods = gallery.methods;
    const holder = document.querySelector(".scenes");
    for (const scene of gallery.scenes) {
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
      paint(threshold(), scenes.slice(-1)); // it may have moved meanwhile
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

  function paint(threshold, some = scenes) {
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
        caption.textContent = `${methods[place]}: IoU ${(map.iou[threshold] / 100).toFixed(2)} %`;
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

  return { open, paint };
})();
