// The small maps: one per division, quality measure and gene.
function captionOf(layer, figure, show) {
  const caption = make("figcaption", show ? "" : layer.title, figure);
  if (show) geneButton(layer.title, caption, show);
  if (layer.why) make("span", ` ${layer.why}`, caption, "soft");
}

function smallMap(section, layer, parent, show) {
  const figure = make("figure", "", parent);
  captionOf(layer, figure, show);
  const canvas = make("canvas", "", make("div", "", figure, "stage")), map = { canvas, layer, fit: null };
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Map of the section: ${layer.title}`);
  hoverMap(section, canvas, () => map.fit, () => layer);
  addKey(layer, section.report.ramp, figure);
  return map;
}

// Returns a function that draws them all. showLayer: brings a layer to the large map, by its key.
function smallMaps(section, showLayer) {
  const { groups, maps, plane } = section, [x0, y0, x1, y1] = maps.window;
  const all = [
    ...groups.Domains.map(l => smallMap(section, l, $("divisions"))),
    ...groups.Quality.map(l => smallMap(section, l, $("values"))),
    ...groups.Genes.map(l => smallMap(section, l, $("genemaps"), () => showLayer(l.key))),
  ];
  return () => {
    for (const map of all) {
      const w = map.canvas.parentNode.clientWidth, h = Math.min(w * (y1 - y0) / (x1 - x0), 420);
      map.fit = fitTo(maps.window, w, h);
      paint(plane, prepare(map.canvas, w, h), map.layer, [w, h], map.fit, 1, "cell");
    }
  };
}
