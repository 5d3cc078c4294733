// What the page does: the large map, the small maps, the layout of the embedding, the tables.
const $ = id => document.getElementById(id);

function make(tag, text, parent, cls) {
  const e = document.createElement(tag);
  e.textContent = text ?? "";
  if (cls) e.className = cls;
  parent?.append(e);
  return e;
}

function short(v) {
  if (v === null || v === undefined) return "–";
  return Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : String(+(+v).toPrecision(3));
}

async function start(report) {
  const maps = report.maps, picture = new Image(), hidden = new Set();
  const plane = await readPlane(maps, report.missing), layers = await readLayers(maps, report.ramp);
  const barcodes = await unpack(maps.barcodes), spotAt = spotFinder(plane);
  const list = entries => entries.map(l => layers.get(l.key));
  const groups = { Domains: list(maps.divisions), Quality: list(maps.values), Genes: list(maps.genes) };
  const main = groups.Domains[0], counts = layers.get("total_counts"), confidence = layers.get("efnst_confidence");

  function about(i, shown) {
    const lines = [barcodes[i]];
    for (const d of groups.Domains) lines.push(`${d.title}: ${d.text(i)}`);
    if (confidence) lines.splice(2, 0, `Confidence: ${confidence.text(i)}`);
    if (counts) lines.push(`${counts.title}: ${counts.text(i)}`);
    if (!shown.names && shown !== counts && shown !== confidence) lines.push(`${shown.title}: ${shown.text(i)}`);
    return lines.join("\n");
  }

  function showTip(text, x, y) {
    const tip = $("tip");
    tip.textContent = text;
    tip.style.display = "block";
    tip.style.left = Math.max(0, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(0, Math.min(y + 14, innerHeight - tip.offsetHeight - 8)) + "px";
  }
  const hideTip = () => $("tip").style.display = "none";
  addEventListener("keydown", e => e.key === "Escape" && hideTip());

  // find: px of the canvas to a spot.
  function hover(canvas, find, layer) {
    canvas.addEventListener("pointermove", e => {
      const box = canvas.getBoundingClientRect(), i = find(e.clientX - box.left, e.clientY - box.top);
      if (i < 0) hideTip();
      else showTip(about(i, layer()), e.clientX, e.clientY);
    });
    canvas.addEventListener("pointerleave", hideTip);
  }
  const finder = fit => (x, y) => spotAt((x - fit()[1]) / fit()[0], (y - fit()[2]) / fit()[0]);

  function options(select, withGenes) {
    for (const [label, entries] of Object.entries(groups)) {
      if (!entries.length || (label === "Genes" && !withGenes)) continue;
      const group = make("optgroup", "", select);
      group.label = label;
      for (const l of entries) make("option", l.title + (l.why ? ` (${l.why})` : ""), group).value = l.key;
    }
  }

  function ramp(l, parent) {
    make("div", "", parent, "ramp").style.background = `linear-gradient(90deg,${report.ramp})`;
    const ends = make("div", "", parent, "ends");
    for (const text of [short(l.low), l.unit ?? "", short(l.high)]) make("span", text, ends);
  }

  function keys(l, parent) {
    const box = make("div", "", parent, "legend");
    for (const [k, name] of l.names.entries()) {
      const e = make("span", "", box, "key");
      make("i", "", e).style.background = l.colours[k];
      e.append(name);
    }
  }

  // The large map.
  const big = $("big"), shape = $("shape"), opacity = $("opacity"), chosen = $("layer");
  let view = null, W = 0, H = 0, found = -1;
  options(chosen, true);
  const layer = () => layers.get(chosen.value);
  function draw() {
    const ctx = prepare(big, W, H), [s, dx, dy] = view;
    ctx.fillStyle = "#fff";
    ctx.fillRect(0, 0, W, H);
    if (report.image && picture.complete) ctx.drawImage(picture, dx, dy, maps.width * s, maps.height * s);
    paint(plane, ctx, layer(), [W, H], view, opacity.value / 100, shape.value, layer().names ? hidden : null);
    scaleBar(plane, ctx, W, H, s);
    const place = found < 0 ? null : placeOf(plane, found);
    if (place) {
      ctx.lineWidth = 3;
      ctx.strokeStyle = "#000";
      ctx.beginPath();
      ctx.arc(place[0] * s + dx, place[1] * s + dy, Math.max(9, plane.pitch * s * .8), 0, 7);
      ctx.stroke();
    }
    big.setAttribute("aria-label", `Map of the section, coloured by ${layer().title}, ${maps.n.toLocaleString("en")} spots`);
  }
  function whole() {
    const [x0, y0, x1, y1] = maps.window;
    W = big.parentNode.clientWidth;
    H = Math.max(320, Math.min(W * (y1 - y0) / (x1 - x0), 780));
    view = fitTo(maps.window, W, H);
    draw();
  }
  function zoom(f, x = W / 2, y = H / 2) {
    const s = Math.max(.05, Math.min(view[0] * f, 80)), g = s / view[0];
    view = [s, x - (x - view[1]) * g, y - (y - view[2]) * g];
    draw();
  }
  function pan(x, y) {
    view = [view[0], view[1] + x, view[2] + y];
    draw();
  }
  big.addEventListener("wheel", e => {
    e.preventDefault();
    const box = big.getBoundingClientRect();
    zoom(Math.exp(-e.deltaY / 500), e.clientX - box.left, e.clientY - box.top);
  }, { passive: false });
  big.addEventListener("pointerdown", e => {
    big.setPointerCapture(e.pointerId);
    let [px, py] = [e.clientX, e.clientY];
    const move = m => {
      pan(m.clientX - px, m.clientY - py);
      [px, py] = [m.clientX, m.clientY];
    };
    big.addEventListener("pointermove", move);
    big.addEventListener("pointerup", () => big.removeEventListener("pointermove", move), { once: true });
  });
  const moves = {
    ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: whole,
  };
  big.addEventListener("keydown", e => {
    if (!moves[e.key]) return;
    e.preventDefault();
    moves[e.key]();
  });
  big.addEventListener("dblclick", whole);
  $("reset").onclick = whole;
  $("closer").onclick = () => zoom(1.4);
  $("farther").onclick = () => zoom(1 / 1.4);
  opacity.oninput = draw;
  shape.onchange = draw;
  if (plane.raster) shape.parentNode.remove();
  $("png").onclick = () => {
    const a = document.createElement("a");
    a.download = `${report.sample}_${layer().title.replace(/[^\w-]+/g, "_")}.png`;
    a.href = big.toDataURL("image/png");
    a.click();
  };
  $("barcode").onchange = e => {
    const text = e.target.value.trim();
    found = text ? barcodes.findIndex(b => b === text || b === text + "-1") : -1;
    $("spotinfo").textContent = !text ? "" : found < 0 ? `No spot ${text} is in this section.` : about(found, layer());
    const place = found < 0 ? null : placeOf(plane, found);
    if (place) {
      const s = Math.max(view[0], 2 * fitTo(maps.window, W, H)[0]);
      view = [s, W / 2 - place[0] * s, H / 2 - place[1] * s];
    }
    draw();
  };
  hover(big, finder(() => view), layer);

  function legend() {
    const box = $("biglegend"), l = layer(), count = new Map();
    box.replaceChildren();
    if (!l.names) return ramp(l, box);
    make("p", "Click: hide or show. Double click: this one alone.", box, "note").style.margin = "0 0 4px";
    for (const c of l.codes) count.set(c, (count.get(c) ?? 0) + 1);
    function mark() {
      for (const b of box.querySelectorAll("button")) b.setAttribute("aria-pressed", !hidden.has(b.code));
      draw();
    }
    for (const c of [...l.names.keys(), NONE]) {
      if (!count.has(c)) continue;
      const b = make("button", "", box), name = c === NONE ? "no label" : l.names[c];
      make("i", "", b).style.background = colourOf(l, c, report.missing);
      make("span", name, b);
      make("em", count.get(c).toLocaleString("en"), b);
      b.code = c;
      b.setAttribute("aria-pressed", true);
      b.setAttribute("aria-label", `${l.title} ${name}, ${count.get(c)} spots`);
      b.onclick = () => {
        hidden.has(c) ? hidden.delete(c) : hidden.add(c);
        mark();
      };
      b.ondblclick = () => {
        for (const o of count.keys()) o === c ? hidden.delete(o) : hidden.add(o);
        mark();
      };
    }
  }
  chosen.onchange = () => {
    hidden.clear();
    legend();
    draw();
  };
  function showLayer(key) {
    chosen.value = key;
    chosen.onchange();
    $("tissue").scrollIntoView();
    big.focus({ preventScroll: true });
  }

  // Small maps.
  const small = [];
  for (const [id, entries] of [["divisions", groups.Domains], ["values", groups.Quality], ["genemaps", groups.Genes]])
    for (const l of entries) {
      const figure = make("figure", "", $(id)), caption = make("figcaption", "", figure);
      if (id === "genemaps") make("button", l.title, caption, "gene").onclick = () => showLayer(l.key);
      else caption.textContent = l.title;
      if (l.why) make("span", ` ${l.why}`, caption, "soft");
      const canvas = make("canvas", "", make("div", "", figure, "stage")), entry = { canvas, l, fit: null };
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Map of the section: ${l.title}`);
      small.push(entry);
      hover(canvas, finder(() => entry.fit), () => l);
      l.names ? keys(l, figure) : ramp(l, figure);
    }
  function panels() {
    const [x0, y0, x1, y1] = maps.window;
    for (const p of small) {
      const w = p.canvas.parentNode.clientWidth, h = Math.min(w * (y1 - y0) / (x1 - x0), 420);
      p.fit = fitTo(maps.window, w, h);
      paint(plane, prepare(p.canvas, w, h), p.l, [w, h], p.fit, 1, "cell");
    }
  }

  // The layout of the embedding.
  async function layout() {
    const canvas = $("umap"), select = $("umaplayer"), spots = await unpackIndices(maps.umap.spots);
    const [ux, uy] = [await unpackNumbers(maps.umap.x), await unpackNumbers(maps.umap.y)];
    const xs = Float32Array.from(spots, (_, k) => ux(k)), ys = Float32Array.from(spots, (_, k) => -uy(k));
    const ends = v => v.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
    const [[x0, x1], [y0, y1]] = [ends(xs), ends(ys)], m = .03 * Math.max(x1 - x0, y1 - y0, 1e-6);
    const r = spots.length > 5000 ? 1.2 : spots.length > 1500 ? 2 : 3;
    const shown = () => layers.get(select.value);
    let fit = null;
    options(select, true);
    function drawLayout() {
      const w = canvas.parentNode.clientWidth, h = Math.min(w, 520), ctx = prepare(canvas, w, h), l = shown();
      fit = fitTo([x0 - m, y0 - m, x1 + m, y1 + m], w, h);
      for (let k = 0; k < spots.length; k++) {
        ctx.fillStyle = colourOf(l, l.codes[spots[k]], report.missing);
        ctx.beginPath();
        ctx.arc(xs[k] * fit[0] + fit[1], ys[k] * fit[0] + fit[2], r, 0, 7);
        ctx.fill();
      }
      canvas.setAttribute("aria-label", `UMAP of the embedding, coloured by ${l.title}`);
      $("umaplegend").replaceChildren();
      l.names ? keys(l, $("umaplegend")) : ramp(l, $("umaplegend"));
    }
    hover(canvas, (x, y) => {
      let best = -1, near = 64;
      for (let k = 0; k < spots.length; k++) {
        const d = (xs[k] * fit[0] + fit[1] - x) ** 2 + (ys[k] * fit[0] + fit[2] - y) ** 2;
        if (d < near) { near = d; best = spots[k]; }
      }
      return best;
    }, shown);
    select.onchange = drawLayout;
    return drawLayout;
  }
  const drawLayout = maps.umap ? await layout() : () => {};

  // Tables.
  make("option", "all domains", $("markerdomain")).value = "";
  for (const name of main.names) make("option", "domain " + name, $("markerdomain")).value = name;
  const showGene = v => layers.has("gene " + v) && (() => showLayer("gene " + v));
  const markerRows = geneTable($("markers"), report.markers, $("markersearch"), $("markerdomain"), $("markernote"), showGene);
  const geneRows = geneTable($("spatial"), report.spatialGenes, $("spatialsearch"), null, $("spatialnote"), showGene);
  $("markercsv").onclick = () => download(`${report.sample}_markers.csv`, report.markers.columns, markerRows());
  $("spatialcsv").onclick = () => download(`${report.sample}_spatial_genes.csv`, report.spatialGenes.columns, geneRows());

  function drawAll() {
    whole();
    panels();
    drawLayout();
  }
  addEventListener("resize", drawAll);
  legend();
  picture.onload = draw;
  picture.src = report.image;
  drawAll();
  document.body.dataset.ready = "yes";
}

start(JSON.parse($("report").textContent)).catch(error => {
  $("problem").hidden = false;
  console.error(error);
});
