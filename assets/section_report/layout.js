// The UMAP of the embedding, of all spots or of those drawn at random.
async function readLayout(umap) {
  const spots = await unpackIndices(umap.spots), [x, y] = await Promise.all([umap.x, umap.y].map(unpackNumbers));
  const xs = Float32Array.from(spots, (_, k) => x(k)), ys = Float32Array.from(spots, (_, k) => -y(k));
  return { spots, xs, ys, radius: spots.length > 5000 ? 1.2 : spots.length > 1500 ? 2 : 3 };
}

// The least and the largest value; of more values than a call takes as arguments.
function rangeOf(values) {
  return values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
}

// What the canvas shows: all points and a margin.
function windowOf({ xs, ys }) {
  const [[x0, x1], [y0, y1]] = [rangeOf(xs), rangeOf(ys)], margin = .03 * Math.max(x1 - x0, y1 - y0, 1e-6);
  return [x0 - margin, y0 - margin, x1 + margin, y1 + margin];
}

function paintPoints({ spots, xs, ys, radius }, ctx, layer, [s, dx, dy], missing) {
  for (let k = 0; k < spots.length; k++) {
    ctx.fillStyle = colourOf(layer, layer.codes[spots[k]], missing);
    ctx.beginPath();
    ctx.arc(xs[k] * s + dx, ys[k] * s + dy, radius, 0, 7);
    ctx.fill();
  }
}

// The spot whose point is nearest, within 8 px; -1 for none.
function pointAt({ spots, xs, ys }, [s, dx, dy], x, y) {
  let best = -1, near = 64;
  for (let k = 0; k < spots.length; k++) {
    const d = (xs[k] * s + dx - x) ** 2 + (ys[k] * s + dy - y) ** 2;
    if (d < near) [near, best] = [d, spots[k]];
  }
  return best;
}

// Returns a function that draws it.
async function layout(section) {
  const canvas = $("umap"), select = $("umaplayer"), points = await readLayout(section.maps.umap);
  const window = windowOf(points), shown = () => section.layers.get(select.value);
  let fit = null;
  fillLayers(select, section.groups);
  function draw() {
    const w = canvas.parentNode.clientWidth, h = Math.min(w, 520), layer = shown();
    fit = fitTo(window, w, h);
    paintPoints(points, prepare(canvas, w, h), layer, fit, section.report.missing);
    canvas.setAttribute("aria-label", `UMAP of the embedding, coloured by ${layer.title}`);
    $("umaplegend").replaceChildren();
    addKey(layer, section.report.ramp, $("umaplegend"));
  }
  hover(section, canvas, (x, y) => pointAt(points, fit, x, y), shown);
  select.onchange = draw;
  return draw;
}
