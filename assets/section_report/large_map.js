// The large map: any layer over the image, to zoom, move, search and save.
class LargeMap {
  constructor(section) {
    this.section = section;
    this.canvas = $("big");
    this.select = $("layer");
    this.hidden = new Set(); // codes of the domains that are not drawn
    this.found = -1; // the spot that was searched
    fillLayers(this.select, section.groups);
    hoverMap(section, this.canvas, () => this.view, () => this.layer);
  }

  get layer() {
    return this.section.layers.get(this.select.value);
  }

  // What is drawn in the place of units: their bins, where they were asked for and the layer is known of them.
  get shownBins() {
    return $("bins")?.checked && this.select.value === "efnst" ? this.section.bins : null;
  }

  draw() {
    const { picture, maps, plane } = this.section, { layer, width, height } = this;
    const ctx = prepare(this.canvas, width, height), [s, dx, dy] = this.view;
    ctx.fillStyle = "#fff";
    ctx.fillRect(0, 0, width, height);
    if (picture) ctx.drawImage(picture, dx, dy, maps.width * s, maps.height * s);
    const opacity = $("opacity").value / 100, shape = $("shape")?.value, hidden = layer.names ? this.hidden : null;
    const bins = this.shownBins;
    if (bins) paintBins(bins, ctx, layer, this.view, opacity, hidden);
    else paint(plane, ctx, layer, [width, height], this.view, opacity, shape, hidden);
    scaleBar(plane, ctx, width, height, s);
    this.circleFound(ctx);
    const spots = `${maps.n.toLocaleString("en")} spots`;
    this.canvas.setAttribute("aria-label", `Map of the section, coloured by ${layer.title}, ${spots}`);
  }

  circleFound(ctx) {
    const { plane } = this.section, place = placeOf(plane, this.found), [s, dx, dy] = this.view;
    if (!place) return;
    ctx.lineWidth = 3;
    ctx.strokeStyle = "#000";
    ctx.beginPath();
    ctx.arc(place[0] * s + dx, place[1] * s + dy, Math.max(9, plane.pitch * s * .8), 0, 7);
    ctx.stroke();
  }

  showWhole() {
    const { window } = this.section.maps, [x0, y0, x1, y1] = window;
    this.width = this.canvas.parentNode.clientWidth;
    this.height = Math.max(320, Math.min(this.width * (y1 - y0) / (x1 - x0), 780));
    this.view = fitTo(window, this.width, this.height);
    this.draw();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const [before, dx, dy] = this.view, s = Math.max(.05, Math.min(before * factor, 80)), g = s / before;
    this.view = [s, x - (x - dx) * g, y - (y - dy) * g];
    this.draw();
  }

  pan(x, y) {
    const [s, dx, dy] = this.view;
    this.view = [s, dx + x, dy + y];
    this.draw();
  }

  // Circles the spot of this barcode, or the unit of this bin, and brings it to the middle.
  find(barcode) {
    const { barcodes, bins, maps, plane } = this.section, wanted = unitOf(barcode, bins);
    this.found = barcode ? barcodes.findIndex(b => b === wanted || b === `${wanted}-1`) : -1;
    if (!barcode) $("spotinfo").textContent = "";
    else if (this.found < 0) $("spotinfo").textContent = `No ${bins ? "unit" : "spot"} ${wanted} is in this section.`;
    else $("spotinfo").textContent = aboutSpot(this.section, this.found, this.layer);
    const place = placeOf(plane, this.found);
    if (place) {
      const s = Math.max(this.view[0], 2 * fitTo(maps.window, this.width, this.height)[0]);
      this.view = [s, this.width / 2 - place[0] * s, this.height / 2 - place[1] * s];
    }
    this.draw();
  }

  show(key) {
    this.select.value = key;
    this.select.onchange();
    $("tissue").scrollIntoView();
    this.canvas.focus({ preventScroll: true });
  }
}

function zoomWithWheel(map) {
  map.canvas.addEventListener("wheel", e => {
    e.preventDefault();
    const box = map.canvas.getBoundingClientRect();
    map.zoom(Math.exp(-e.deltaY / 500), e.clientX - box.left, e.clientY - box.top);
  }, { passive: false });
}

function moveWithPointer(map) {
  const { canvas } = map;
  canvas.addEventListener("pointerdown", e => {
    canvas.setPointerCapture(e.pointerId);
    let [x, y] = [e.clientX, e.clientY];
    const move = m => {
      map.pan(m.clientX - x, m.clientY - y);
      [x, y] = [m.clientX, m.clientY];
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", () => canvas.removeEventListener("pointermove", move), { once: true });
  });
}

function moveWithKeys(map) {
  const moves = {
    ArrowLeft: () => map.pan(60, 0), ArrowRight: () => map.pan(-60, 0),
    ArrowUp: () => map.pan(0, 60), ArrowDown: () => map.pan(0, -60),
    "+": () => map.zoom(1.4), "=": () => map.zoom(1.4), "-": () => map.zoom(1 / 1.4), 0: () => map.showWhole(),
  };
  map.canvas.addEventListener("keydown", e => {
    if (!moves[e.key]) return;
    e.preventDefault();
    moves[e.key]();
  });
}

// The controls beside the map. Bins of a raster have no size of their own to choose.
function connectControls(map) {
  map.select.onchange = () => {
    map.hidden.clear();
    drawLegend(map);
    map.draw();
  };
  $("opacity").oninput = () => map.draw();
  if (map.section.plane.raster) $("shape").parentNode.remove();
  else $("shape").onchange = () => map.draw();
  if ($("bins")) $("bins").onchange = () => map.show("efnst");
  $("barcode").onchange = e => map.find(e.target.value.trim());
  $("closer").onclick = () => map.zoom(1.4);
  $("farther").onclick = () => map.zoom(1 / 1.4);
  $("reset").onclick = () => map.showWhole();
  map.canvas.addEventListener("dblclick", () => map.showWhole());
  const fileName = () => `${map.section.report.sample}_${map.layer.title.replaceAll(/[^\w-]+/g, "_")}.png`;
  $("png").onclick = () => save(fileName(), map.canvas.toDataURL("image/png"));
}

function largeMap(section) {
  const map = new LargeMap(section);
  zoomWithWheel(map);
  moveWithPointer(map);
  moveWithKeys(map);
  connectControls(map);
  drawLegend(map);
  return map;
}
