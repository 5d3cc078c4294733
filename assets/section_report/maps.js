// Maps of the spots: each spot as a cell or a circle or, of very many, as the pixels of a raster.
const STEPS = 32; // colours of a map of numbers

const channels = colour => [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));

function rampColours(ramp) {
  return Array.from({ length: STEPS }, (_, i) => {
    const t = i / (STEPS - 1) * (ramp.length - 1), a = Math.min(Math.floor(t), ramp.length - 2);
    const [p, q] = [channels(ramp[a]), channels(ramp[a + 1])];
    const mixed = p.map((v, k) => Math.round(v + (q[k] - v) * (t - a)));
    return `#${mixed.map(v => v.toString(16).padStart(2, "0")).join("")}`;
  });
}

// The layers by key. Each has for every spot a code, the number of its colour, and what stands in the hover text.
async function readLayers(maps, ramp) {
  const colours = rampColours(ramp), layers = new Map();
  for (const l of maps.divisions) {
    const codes = await unpack(l.codes);
    layers.set(l.key, { ...l, codes, text: i => codes[i] === NONE ? "no label" : l.names[codes[i]] });
  }
  for (const l of [...maps.values, ...maps.genes]) {
    const at = await unpackNumbers(l), span = l.high - l.low || 1, codes = new Uint16Array(maps.n);
    for (let i = 0; i < maps.n; i++) {
      const v = at(i);
      codes[i] = v === null ? NONE : Math.max(0, Math.min(STEPS - 1, Math.floor((v - l.low) / span * STEPS)));
    }
    layers.set(l.key, { ...l, colours, codes, text: i => short(at(i)) });
  }
  return layers;
}

// fit: from the plane of the spots to px of the canvas, as [scale, dx, dy].
function fitTo(window, w, h) {
  const [x0, y0, x1, y1] = window, s = Math.min(w / (x1 - x0), h / (y1 - y0));
  return [s, (w - s * (x0 + x1)) / 2, (h - s * (y0 + y1)) / 2];
}

function prepare(canvas, w, h) {
  const d = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, w * d);
  canvas.height = Math.max(1, h * d);
  canvas.style.aspectRatio = `${w} / ${h}`;
  const ctx = canvas.getContext("2d");
  ctx.setTransform(d, 0, 0, d, 0, 0);
  return ctx;
}

const colourOf = (layer, code, missing) => code === NONE ? missing : layer.colours[code];

// One path for each colour keeps tens of thousands of spots quick.
function paintSpots(plane, ctx, layer, size, fit, opacity, shape, hidden) {
  const [s, dx, dy] = fit, paths = new Map(), r = Math.max(plane.radius * s, .8);
  const cell = plane.cell.map(p => [p[0] * s * 1.03, p[1] * s * 1.03]); // 1.03: no hairlines between cells
  for (let i = 0; i < plane.n; i++) {
    const c = layer.codes[i];
    if (hidden?.has(c)) continue;
    const x = plane.x[i] * s + dx, y = plane.y[i] * s + dy;
    if (x < -40 || y < -40 || x > size[0] + 40 || y > size[1] + 40) continue;
    let p = paths.get(c);
    if (!p) paths.set(c, p = new Path2D());
    if (shape === "spot") {
      p.moveTo(x + r, y);
      p.arc(x, y, r, 0, 7);
    } else {
      p.moveTo(x + cell[0][0], y + cell[0][1]);
      for (let k = 1; k < cell.length; k++) p.lineTo(x + cell[k][0], y + cell[k][1]);
      p.closePath();
    }
  }
  ctx.globalAlpha = opacity;
  for (const [c, p] of paths) {
    ctx.fillStyle = colourOf(layer, c, plane.missing);
    ctx.fill(p);
  }
  ctx.globalAlpha = 1;
}

// The raster in the layer's colours; kept until layer or hidden domains change.
function rasterOf(plane, layer, hidden) {
  const state = [...hidden ?? []].join();
  if (layer.drawn?.state === state) return layer.drawn.canvas;
  const { width, height, spot } = plane.raster, canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const ctx = canvas.getContext("2d"), image = ctx.createImageData(width, height), known = new Map();
  for (let p = 0; p < spot.length; p++) {
    if (spot[p] < 0) continue;
    const code = layer.codes[spot[p]];
    if (hidden?.has(code)) continue;
    let rgb = known.get(code);
    if (!rgb) known.set(code, rgb = channels(colourOf(layer, code, plane.missing)));
    image.data[4 * p] = rgb[0];
    image.data[4 * p + 1] = rgb[1];
    image.data[4 * p + 2] = rgb[2];
    image.data[4 * p + 3] = 255;
  }
  ctx.putImageData(image, 0, 0);
  layer.drawn = { state, canvas };
  return canvas;
}

function paint(plane, ctx, layer, size, fit, opacity, shape, hidden) {
  if (!plane.raster) return paintSpots(plane, ctx, layer, size, fit, opacity, shape, hidden);
  const [s, dx, dy] = fit, { width, height, x0, y0, scale } = plane.raster, drawn = rasterOf(plane, layer, hidden);
  ctx.globalAlpha = opacity;
  ctx.imageSmoothingEnabled = s < scale; // enlarged pixels keep their edges
  ctx.drawImage(drawn, x0 * s + dx, y0 * s + dy, width / scale * s, height / scale * s);
  ctx.imageSmoothingEnabled = true;
  ctx.globalAlpha = 1;
}

function scaleBar(plane, ctx, w, h, s) {
  const um = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10].find(v => v / plane.umPerPx * s < w * .3);
  if (!um) return;
  const length = um / plane.umPerPx * s, x = 14, y = h - 16;
  ctx.fillStyle = "#ffffffd0";
  ctx.fillRect(x - 8, y - 20, length + 16, 30);
  ctx.fillStyle = "#1c2733";
  ctx.fillRect(x, y, length, 3);
  ctx.font = "12px system-ui,sans-serif";
  ctx.fillText(um >= 1000 ? `${um / 1000} mm` : `${um} µm`, x, y - 5);
}

// A function from a place in the plane to the spot there, -1 for none.
function spotFinder(plane) {
  if (plane.raster) {
    const { width, height, x0, y0, scale, spot } = plane.raster;
    return (x, y) => {
      const column = Math.floor((x - x0) * scale), row = Math.floor((y - y0) * scale);
      return column < 0 || row < 0 || column >= width || row >= height ? -1 : spot[row * width + column];
    };
  }
  const bins = new Map(), key = (x, y) => `${Math.floor(x / plane.pitch)}:${Math.floor(y / plane.pitch)}`;
  for (let i = 0; i < plane.n; i++) {
    const k = key(plane.x[i], plane.y[i]);
    if (!bins.has(k)) bins.set(k, []);
    bins.get(k).push(i);
  }
  return (x, y) => {
    let best = -1, near = (plane.pitch * .62) ** 2;
    for (let a = -1; a < 2; a++) for (let b = -1; b < 2; b++)
      for (const i of bins.get(key(x + a * plane.pitch, y + b * plane.pitch)) ?? []) {
        const d = (plane.x[i] - x) ** 2 + (plane.y[i] - y) ** 2;
        if (d < near) [near, best] = [d, i];
      }
    return best;
  };
}

async function readPlane(maps, missing) {
  const plane = { ...maps, missing };
  if (maps.raster) plane.raster = { ...maps.raster, spot: await unpackIndices(maps.raster.spot) };
  else for (const axis of ["x", "y"]) {
    const at = await unpackNumbers(maps[axis]);
    plane[axis] = Float32Array.from({ length: maps.n }, (_, i) => at(i));
  }
  return plane;
}

// The middle of a spot in the plane, of a raster that of its first pixel; null where it is not drawn and for spot -1.
function placeOf(plane, i) {
  if (i < 0) return null;
  if (!plane.raster) return [plane.x[i], plane.y[i]];
  const { width, x0, y0, scale, spot } = plane.raster, p = spot.indexOf(i);
  return p < 0 ? null : [(p % width + .5) / scale + x0, (Math.floor(p / width) + .5) / scale + y0];
}
